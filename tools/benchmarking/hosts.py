"""What mask scoring adds to each host: parameters, and time of the RoI head on one image.

stock   mmdet's RoI head
plugin  the same weights with mask scoring
"""

import copy
import functools
import math
from pathlib import Path

import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.structures import InstanceData, PixelData
from rich.table import Table

from tools.benchmarking.cases import STRIDES, RoIHeadLoss, random_tensor
from tools.benchmarking.measuring import quartiles
from tools.benchmarking.scene import NUM_CLASSES, data_samples, proposals
from tools.benchmarking.tables import ms

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
HOSTS = (
    'ms_rcnn_r50_fpn',
    'ms_rcnn_r50_c4',
    'cascade_ms_rcnn_r50_fpn',
    'htc_ms_rcnn_r50_fpn',
    'scnet_ms_rcnn_r50_fpn',
    'point_rend_ms_rcnn_r50_fpn',
    'dynamic_ms_rcnn_r50_fpn',
    'double_head_ms_rcnn_r50_fpn',
    'pisa_ms_rcnn_r50_fpn',
)
CASES = ('stock', 'plugin')
PARTS = {'predict': 'prediction of 100 detections', 'loss': 'loss, forward'}
DETECTIONS = 100


# --- the RoI heads -------------------------------------------------------------------------------


def build_host(name, case, settings):
    """The RoI head of ``configs/<name>.py``, or mmdet's own; weights of the host are the same."""
    cfg = host_config(name, settings)
    if case == 'stock':
        cfg.type = stock_type(cfg.type)
        del cfg.mask_iou_head
    # The MaskIoU head is made and initialised last, and changes nothing drawn before.
    torch.manual_seed(0)
    roi_head = MODELS.build(cfg)
    torch.manual_seed(0)
    roi_head.init_weights()
    return roi_head


def host_config(name, settings):
    """Of its RoI head, which trains on as many positives as ``settings`` say."""
    model = copy.deepcopy(_model_config(name))
    rcnn = model.train_cfg.rcnn
    for stage in rcnn if isinstance(rcnn, list) else [rcnn]:
        stage.sampler.num = round(settings.positives / stage.sampler.pos_fraction)
    cfg = model.roi_head
    cfg.update(train_cfg=rcnn, test_cfg=model.test_cfg.rcnn)
    if settings.small:
        cfg.mask_iou_head.update(conv_out_channels=16, fc_out_channels=64)
        if not cfg.get('shared_head'):  # whose width is fixed
            narrow(cfg)
    return cfg


@functools.cache
def _model_config(name):
    return Config.fromfile(CONFIGS / f'{name}.py').model


def narrow(cfg):
    """A sixteenth of the channels, all over, but 16 at least."""
    for key, value in cfg.items():
        for part in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(part, dict):
                narrow(part)
        if 'channels' in key and isinstance(value, int):
            cfg[key] = max(16, value // 16)


def stock_type(scoring_type):
    """The RoI head of mmdet that one with mask scoring is made of."""
    ancestors = MODELS.get(scoring_type).__mro__
    return next(cls.__name__ for cls in ancestors if cls.__module__.startswith('mmdet.'))


def extra_parameters(name, settings):
    """Of its MaskIoU head."""
    with torch.device('meta'):
        roi_head = MODELS.build(host_config(name, settings))
    return sum(param.numel() for param in roi_head.mask_iou_head.parameters())


# --- what is timed -------------------------------------------------------------------------------


def make_case(name, part, case, settings, scene):
    """The ``part`` of PARTS to be timed of a host."""
    kind = dict(predict=HostPredict, loss=HostLoss)[part]
    return kind(build_host(name, case, settings), settings.device)


def inputs_of(roi_head, scene, device):
    """Features, proposals, and data samples with the semantic map that some hosts learn from."""
    samples = data_samples(scene, device)
    for sample in samples:
        semantic = torch.zeros(1, *scene.padded_size, dtype=torch.long, device=device)
        sample.gt_sem_seg = PixelData(sem_seg=semantic)
    return features(roi_head, scene, device), proposals(scene, device), samples


def features(roi_head, scene, device):
    """Of all levels that a neck would give the host: one for C4, else a pyramid's five."""
    extractor = roi_head.bbox_roi_extractor
    extractor = extractor[0] if isinstance(extractor, torch.nn.ModuleList) else extractor
    single = len(extractor.featmap_strides) == 1
    levels = []
    for stride in extractor.featmap_strides if single else STRIDES:
        size = [math.ceil(side / stride) for side in scene.padded_size]
        shape = (len(scene.images), extractor.out_channels, *size)
        levels.append(random_tensor(shape, device))
    return tuple(levels)


class HostLoss(RoIHeadLoss):
    """``roi_head.loss``, forward."""

    def __init__(self, roi_head, device):
        super().__init__(roi_head, None, device, backward=False)

    def inputs(self, scene):
        torch.manual_seed(0)  # the samplers draw from it
        return inputs_of(self.roi_head, scene, self.device)


class HostPredict:
    """``roi_head.predict``, masks pasted into the image at its original size.

    The box branch does its work; what it detects, untrained, is replaced by what a trained one
    would, a hundred boxes around objects.
    """

    def __init__(self, roi_head, device):
        self.roi_head = roi_head.to(device).eval()
        self.device = device
        self._detections = None
        self._predict_bbox = roi_head.predict_bbox
        roi_head.predict_bbox = self._replaced
        roi_head.test_cfg.score_thr = 1.0  # NMS of the untrained boxes would take its time

    def _replaced(self, *args, **kwargs):
        self._predict_bbox(*args, **kwargs)
        return self._detections

    def inputs(self, scene):
        levels, proposed, samples = inputs_of(self.roi_head, scene, self.device)
        self._detections = [_detections(image.bboxes[:DETECTIONS]) for image in proposed]
        return levels, proposed, samples

    @torch.no_grad()
    def run(self, levels, proposed, samples):
        return self.roi_head.predict(levels, proposed, samples, rescale=True)


def _detections(boxes):
    labels = torch.arange(len(boxes), device=boxes.device) % NUM_CLASSES
    scores = torch.full((len(boxes),), 0.5, device=boxes.device)
    return InstanceData(bboxes=boxes.clone(), labels=labels, scores=scores)


# --- figures -------------------------------------------------------------------------------------


def rows(sections, settings):
    """Of each host {host, parameters, predict, loss}, of sections named HOST/PART."""
    return [
        dict(
            host=name,
            parameters=extra_parameters(name, settings),
            **{part: _extra(sections[f'{name}/{part}']) for part in PARTS},
        )
        for name in HOSTS
    ]


def _extra(cases):
    """Median seconds of both, and of what the plugin took longer, round by round."""
    pairs = zip(cases['stock']['seconds'], cases['plugin']['seconds'])
    low, extra, high = quartiles([plugin - stock for stock, plugin in pairs])
    return dict(
        stock=cases['stock']['median'],
        plugin=cases['plugin']['median'],
        extra=extra,
        quartiles=[low, high],
    )


def table(host_rows):
    """The same for people."""
    shown = Table(title='what mask scoring adds, one image, RoI head alone', title_justify='left')
    shown.add_column('host')
    for column in ('parameters', 'predict', 'more', 'loss, forward', 'more'):
        shown.add_column(column, justify='right')
    for row in host_rows:
        times = [cell for part in PARTS for cell in (ms(row[part]['stock']), _more(row[part]))]
        shown.add_row(row['host'], f'{row["parameters"] / 1e6:.1f} M', *times)
    return shown


def _more(figures):
    return f'{ms(figures["extra"])} ({100 * figures["extra"] / figures["stock"]:+.0f} %)'
