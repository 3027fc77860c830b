"""What `msrcnn benchmark --group detectors` times: models without RoI heads, and what is added.

Random weights emit few masks or none. So each host does its work, and then emits the scene's
masks, before it enlarges and cuts them. They are as large as objects in photographs.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from mmengine.config import Config, ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor

from ..apis.fit.scored_config import scored_config
from ..synthetic.batch import Scene, Setting
from .benchmark_cases import CONFIGS, Case, Model, build_alike, override


def detector_sections(setting: Setting) -> Iterator[tuple[str, dict[str, Case]]]:
    """Builds the sections one after the other: the prediction of a host, and with mask scores.

    What is added is the MaskIoU head of the config, or what `msrcnn fit` adds: a head as wide as
    the host's neck, and a ranking head. Models have their full width.
    """
    for config, (side, emit) in DETECTORS.items():
        height, width = (min(side, most) for most in setting.image_size)
        scene = Scene(setting._replace(image_size=(height, width)), images=1)
        path = CONFIGS / 'any' / f'{config}.py'
        fitted, _ = scored_config(path, Path('fitted.py'))
        del fitted.model.mask_iou_calibration  # It needs values, and takes no time.
        for name, cfg in dict(plugin=Config.fromfile(path), fitted=fitted).items():
            pair = build_alike({name: cfg.model, 'host': host_cfg(cfg.model)}, setting.device)
            title = f'`{config}`, {height} × {width}: prediction of {setting.detections} instances'
            yield title, {case: prediction(pair[case], scene, emit) for case in ('host', name)}


def host_cfg(cfg: ConfigDict) -> ConfigDict:
    """Copies the config of a scoring detector, as that of mmdet's own."""
    own = copy.deepcopy(cfg)
    for name in [name for name in own if name.startswith(('mask_iou_', 'mask_rank_'))]:
        del own[name]
    own.type = own.type.removeprefix('MS')
    return own


def prediction(model: Model, scene: Scene, emit: Emitter) -> Case:
    """Times the prediction of a whole detector that emits the scene's masks."""
    emit(model.eval(), scene)

    @torch.no_grad()
    def call() -> list:
        return model.predict(scene.pixels, scene.data_samples())

    return call


def mask_logits(scene: Scene, stride: int) -> Tensor:
    """Draws the masks of the scene's detections: (N, H / stride, W / stride)."""
    masks = scene.bitmaps[0].to_tensor(torch.float32, scene.boxes.device)
    return (20 * F.avg_pool2d(masks, stride) - 10)[scene.inds[: scene.setting.detections]]


def found(scene: Scene, **fields: Tensor) -> InstanceData:
    """Returns the scene's detections, with what else a host keeps of each."""
    return InstanceData(**scene.detections()[0], **fields)


Emitter = Callable[[Model, Scene], None]


def emit_rtmdet(model: Model, scene: Scene) -> None:
    """Its head exchanges boxes before their suppression, and masks after it."""
    head, finish = model.bbox_head, model.bbox_head._bbox_mask_post_process
    head.test_cfg.update(score_thr=1.0, nms=dict(type='nms', iou_threshold=1.0))
    logits = mask_logits(scene, 8)
    kernels = logits.new_zeros(len(logits), head.num_gen_params)
    fields = dict(kernels=kernels, priors=logits.new_ones(len(logits), 4))
    head._bbox_mask_post_process = lambda results, **given: finish(found(scene, **fields), **given)
    override(head, '_mask_predict_by_feat_single', lambda: logits)


def emit_condinst(model: Model, scene: Scene) -> None:
    """Its box head ends with boxes and the parameters of masks, its mask head with logits."""
    logits = mask_logits(scene, model.mask_head.mask_out_stride)
    fields = dict(
        param_preds=logits.new_zeros(len(logits), model.mask_head.num_params),
        points=logits.new_zeros(len(logits), 2),
        strides=logits.new_ones(len(logits)),
    )
    emit_by_two_heads(model, lambda: [found(scene, **fields)], lambda: ([logits],))


def emit_yolact(model: Model, scene: Scene) -> None:
    """Its box head ends with boxes and coefficients of masks, its mask head with probabilities."""
    probs = mask_logits(scene, 4).sigmoid().permute(1, 2, 0)
    coeffs = probs.new_zeros(probs.size(2), model.mask_head.num_protos)
    emit_by_two_heads(model, lambda: [found(scene, coeffs=coeffs)], lambda: ([probs], None))


def emit_by_two_heads(
    model: Model, boxes: Callable[[], list[InstanceData]], masks: Callable[[], tuple]
) -> None:
    """Makes the box head and the mask head of a detector return these."""
    model.bbox_head.test_cfg.score_thr = 1.0
    override(model.bbox_head, 'predict', boxes)
    override(model.mask_head, 'forward', masks)


def emit_solov2(model: Model, scene: Scene) -> None:
    """Its head sees each mask as a channel of its feature, and the kernel that reads it."""
    head, finish = model.mask_head, model.mask_head._predict_by_feat_single
    head.test_cfg.filter_thr, head.strides = 0.0, [0] * len(head.strides)  # keeps every mask
    logits = mask_logits(scene, head.mask_stride)
    missing = head.kernel_out_channels - len(logits)
    kernels = F.pad(torch.eye(len(logits)).to(logits), (0, missing))
    feature = F.pad(logits, (0, 0, 0, 0, 0, missing))[None]
    scores = 0.5 * F.one_hot(found(scene).labels, head.cls_out_channels)
    head._predict_by_feat_single = lambda *_, **given: finish(kernels, scores, feature, **given)


def emit_mask2former(model: Model, scene: Scene) -> None:
    """Its head ends with the logits of classes and masks of each query."""
    fusion, logits = model.panoptic_fusion_head, mask_logits(scene, 4)
    fusion.test_cfg.max_per_image = len(logits)
    classes = 9.0 * F.one_hot(found(scene).labels, fusion.num_classes + 1)
    override(model.panoptic_head, 'forward', lambda: ([classes[None]], [logits[None]]))


# Each with the largest side of an image: the host's own where it is less than the setting's. Of
# YOLACT's 550 pixels 544 need no padding, which it does not know.
DETECTORS: dict[str, tuple[int, Emitter]] = dict(
    rtmdet_ins_tiny=(640, emit_rtmdet),
    yolact_r50=(544, emit_yolact),
    condinst_r50_fpn=(1333, emit_condinst),
    solov2_r50_fpn=(1333, emit_solov2),
    mask2former_r50=(1333, emit_mask2former),
)
