"""What `msrcnn benchmark` times: sections of cases that do the same work on the same scene.

A case can be called again and again. The cases of a section share ground truth, proposals,
weights and the seed of the samplers.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from mmdet.evaluation import CocoMetric
from mmdet.registry import MODELS
from mmdet.structures.mask import mask_target
from mmengine.config import Config, ConfigDict
from mmengine.optim import OptimWrapper
from pycocotools import mask as rle_tools
from torch import Tensor

from ..evaluation import MaskScoringMetric
from ..geometry import RoIGroundTruth, mask_iou_target
from ..hooks import TrainMaskIoUHeadOnlyHook
from ..models.ground_truth_masks import prepare_masks
from ..synthetic.batch import NUM_CLASSES, Scene, Setting

Case = Callable[[], Any]
Model = Any  # A detector of mmdet, which ships no types.

CONFIGS = Path(__file__).parents[1] / '.mim' / 'configs'
POSITIVES = (8, 32, 128)  # of an image, to be compared
OTHERS = ('cascade', 'htc', 'scnet', 'point_rend', 'dynamic', 'double_head', 'pisa')
HOSTS = ('ms_rcnn_r50_fpn', 'ms_rcnn_r50_c4', *(f'{name}_ms_rcnn_r50_fpn' for name in OTHERS))


SMALL = Setting((96, 128), 4, 8, proposals=150, detections=8, ranked_images=10, narrow=True)


@functools.lru_cache(2)
def models(config: str, setting: Setting, *names: str) -> dict[str, Model]:
    """Builds the model of ``configs/<config>.py`` and others of its host, with the same weights.

    Args:
        names: ``plugin``, ``ms_rcnn`` (mmdet's own), and any other for the host alone.
    """
    cfg = Config.fromfile(CONFIGS / f'{config}.py').model
    cfg.test_cfg.rcnn.score_thr = 1.0  # NMS of an untrained head's boxes takes long.
    widths = dict(conv_out_channels=256, fc_out_channels=1024)
    cfg.roi_head.mask_iou_head.update(widths)
    stages = cfg.train_cfg.rcnn
    for stage in stages if isinstance(stages, list) else [stages]:
        stage.sampler.num = round(setting.positives / stage.sampler.pos_fraction)
        stage.mask_thr_binary = 0.5  # mmdet's MaskIoUHead reads it there.
    bases = MODELS.get(cfg.roi_head.type).__mro__
    host = next(base.__name__ for base in bases if base.__module__.startswith('mmdet.'))
    cfgs = {}
    for name in names:
        own = copy.deepcopy(cfg)
        if name != 'plugin':
            del own.roi_head.mask_iou_head
            own.roi_head.type = host
        if name == 'ms_rcnn':
            head = dict(type='MaskIoUHead', num_classes=NUM_CLASSES, in_channels=256, **widths)
            own.roi_head.update(type='MaskScoringRoIHead', mask_iou_head=head)
        if setting.narrow and 'neck' in own:  # C4's shared head has a fixed width.
            narrow(own)
            own.backbone.update(depth=18, base_channels=16)
            own.neck.in_channels = [16, 32, 64, 128]
        cfgs[name] = own
    return build_alike(cfgs, setting.device)


def build_alike(cfgs: Mapping[str, ConfigDict], device: str) -> dict[str, Model]:
    """Builds models with the same weights, as far as they have the same names."""
    built: dict[str, Model] = {}
    for name, cfg in cfgs.items():
        cfg.backbone.init_cfg = None  # Nothing is downloaded: speed does not depend on weights.
        torch.manual_seed(0)
        built[name] = MODELS.build(cfg).to(device)
        built[name].init_weights()
        for other in built.values():
            built[name].load_state_dict(other.state_dict(), strict=False)
    return built


def narrow(cfg: ConfigDict) -> None:
    """Divides all numbers of channels by 16, in place, down to 16."""
    for key, value in cfg.items():
        for part in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(part, dict):
                narrow(part)
        if 'channels' in key and isinstance(value, int):
            cfg[key] = max(16, value // 16)


def override(owner: Any, method: str, result: Callable[[], Any]) -> None:
    """Makes a method do its work, and return what a trained model would return."""
    work = getattr(type(owner), method)
    setattr(owner, method, lambda *args, **kwargs: (work(owner, *args, **kwargs), result())[1])


def targets(model: Model, scene: Scene, kind: str, positives: int | None = None) -> Case:
    """Times the targets of the mask head, and of the MaskIoU head where the model has one."""
    cfg, head = model.roi_head.train_cfg, getattr(model.roi_head, 'mask_iou_head', None)
    plugin = head is not None and not hasattr(head, 'get_targets')
    inds = [scene.inds[:positives]] * len(scene.boxes)
    size = (cfg.mask_size, cfg.mask_size)
    # mmdet cuts logits at 0.5, the plugin at 0: far from both, they make the same masks.
    torch.manual_seed(0)
    logits = torch.where(torch.rand(sum(map(len, inds)), *size) < 0.5, -9.0, 9.0).to(scene.boxes)

    def call() -> Tensor:
        gts = scene.instances(kind)
        boxes = [found[: len(inds[0])].clone() for found in scene.found]  # mmdet clips in place.
        if plugin:
            prepare_masks(gts, logits.device)
        of_masks = mask_target(boxes, inds, [gt.masks for gt in gts], cfg)
        if plugin:
            images = [gt.masks.ground_truth(b, i, size) for gt, b, i in zip(gts, boxes, inds)]
            ground_truth = RoIGroundTruth(*(torch.cat(parts) for parts in zip(*images)))
            return mask_iou_target(logits.sigmoid(), ground_truth).iou
        if head is None:
            return of_masks
        pairs = zip(boxes, inds)
        results = [SimpleNamespace(pos_priors=b, pos_assigned_gt_inds=i) for b, i in pairs]
        return head.get_targets(results, gts, logits, of_masks, cfg)

    return call


@torch.no_grad()  # of the features alone
def loss(model: Model, scene: Scene, backward: bool = False) -> Case:
    """Times the loss of the RoI head and, on request, its backward pass."""
    levels = model.eval().extract_feat(scene.pixels)

    def call() -> None:
        model.roi_head.train().zero_grad()
        torch.manual_seed(0)  # The samplers draw from it.
        inputs = [level.detach().requires_grad_() for level in levels]
        losses = model.roi_head.loss(inputs, scene.proposals(), scene.data_samples())
        if backward:
            model.parse_losses(losses)[0].backward()

    return call


def training_step(model: Model, scene: Scene, head_only: bool = False) -> Case:
    """Times loss, backward and optimizer step, of the MaskIoU head alone on request."""
    # A tiny rate keeps the weights of all cases alike.
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-9, momentum=0.9))
    runner = SimpleNamespace(model=model, optim_wrapper=wrapper, _load_from='model', _resume=False)
    hook = TrainMaskIoUHeadOnlyHook()
    override(model.rpn_head, 'predict_by_feat', scene.proposals)
    if head_only:
        hook.before_run(runner)
        hook.after_load_checkpoint(runner, model.state_dict())
        hook.before_train(runner)

    def call() -> None:
        model.train()
        if head_only:
            hook.before_train_iter(runner, 0)
        torch.manual_seed(0)
        wrapper.update_params(model.parse_losses(model.loss(scene.pixels, scene.data_samples()))[0])

    return call


@torch.no_grad()
def prediction(model: Model, scene: Scene, whole: bool = True) -> Case:
    """Times the prediction of a model or of its RoI head, masks pasted at the original size."""
    override(model.roi_head, 'predict_bbox', scene.detections)
    levels = model.eval().extract_feat(scene.pixels)

    @torch.no_grad()
    def call() -> None:
        model.eval()
        if whole:
            model.predict(scene.pixels, scene.data_samples())
        else:
            model.roi_head.predict(levels, scene.proposals(), scene.data_samples(), rescale=True)

    return call


def evaluation(metric_type: type[CocoMetric], scene: Scene) -> Case:
    """Times a metric. Each object is found several times, with the mask of the ground truth."""
    size, labels, count = scene.setting.image_size, scene.labels.tolist(), scene.setting.detections
    chosen = [number % len(labels) for number in range(count)]
    scores, ious = torch.rand(2, count, generator=torch.Generator().manual_seed(0))
    found = dict(scores=scores, mask_ious=ious, mask_scores=scores * ious)
    found.update(bboxes=torch.zeros(count, 4), labels=torch.tensor(labels)[chosen])
    samples = []
    for number, (boxes, outlines) in enumerate(zip(scene.boxes.tolist(), scene.outlines)):
        masks = rle_tools.frPyObjects(outlines.tolist(), *size)
        triples = zip(labels, boxes, masks)
        gts = [dict(bbox_label=label, bbox=box, mask=mask) for label, box, mask in triples]
        predicted = dict(found, masks=[masks[index] for index in chosen])
        sample = dict(img_id=number, ori_shape=size, instances=gts, pred_instances=predicted)
        samples.append(sample)
    metric = metric_type(metric='segm')
    metric.dataset_meta = dict(classes=[str(label) for label in range(NUM_CLASSES)])

    def call() -> None:
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints.
            metric.process({}, samples)
            metric.evaluate(len(samples))

    return call


def sections(group: str, setting: Setting) -> Iterator[tuple[str, dict[str, Case]]]:
    """Builds the sections of a group one after the other: title and cases, ours last."""
    scene = Scene(setting, dict(targets=2, loss=2, rankings=setting.ranked_images).get(group, 1))
    built = models('ms_rcnn_r50_fpn', setting, 'stock', 'ms_rcnn', 'plugin')

    def of_each(case: Callable[..., Case], *args: Any) -> dict[str, Case]:
        return {name: case(model, scene, *args) for name, model in built.items()}

    if group == 'targets':
        for kind in ('bitmaps', 'polygons'):
            yield f'mask and MaskIoU targets of 2 images, {kind}', of_each(targets, kind)
    elif group == 'loss':
        yield 'RoI head, loss of 2 images', of_each(loss)
        yield 'RoI head, loss of 2 images, with backward', of_each(loss, True)
    elif group == 'step':
        steps = of_each(training_step)
        yield 'whole model, training step of 1 image', steps
        alone = models('ms_rcnn_r50_fpn', setting, 'plugin')['plugin']
        cases = dict(plugin=steps['plugin'], head_only=training_step(alone, scene, True))
        yield 'training step of 1 image', cases
    elif group == 'prediction':
        yield f'whole model, prediction of {setting.detections} detections', of_each(prediction)
    elif group == 'rankings':
        metrics = dict(coco=CocoMetric, metric=MaskScoringMetric)
        cases = {name: evaluation(metric, scene) for name, metric in metrics.items()}
        yield f'mask AP of {len(scene.boxes)} images, {setting.detections} detections each', cases
    elif group == 'hosts':
        for config in HOSTS:
            built = models(config, setting, 'host', 'plugin')
            head = built['plugin'].roi_head.mask_iou_head
            millions = sum(weight.numel() for weight in head.parameters()) / 1e6
            title = f'`{config}`, {millions:.1f} M more parameters'
            yield f'{title}: prediction', of_each(prediction, False)
            yield f'{title}: loss', of_each(loss)
    elif group == 'scaling':
        whole, usual = setting.image_size, setting.objects
        half = (whole[0] // 2, whole[1] // 2)
        for size, objects in ((half, usual), (whole, 1), (whole, usual), (whole, 5 * usual)):
            own = setting._replace(image_size=size, objects=objects, positives=POSITIVES[-1])
            scene = Scene(own, images=2)
            for number in POSITIVES:
                title = f'{size[0]} × {size[1]}, {objects} objects, {number} positives'
                names = ('ms_rcnn', 'plugin')
                yield title, {n: targets(built[n], scene, 'bitmaps', number) for n in names}
