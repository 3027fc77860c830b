"""What `msrcnn benchmark` times: sections of cases that do the same work on the same scene.

A case prepares one call, which is not timed, and returns that call. The cases of a section share
ground truth, proposals, features, weights and the seed of the samplers.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import math
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from mmdet.evaluation import CocoMetric
from mmdet.structures.mask import mask_target
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from ..evaluation import MaskScoringMetric
from ..geometry import RoIGroundTruth, mask_iou_target
from ..hooks import TrainMaskIoUHeadOnlyHook
from ..models.ground_truth_masks import prepare_masks
from .benchmark_inputs import DETECTIONS, Model, Scene, Setting, detected_scene, models

Case = Callable[[], Callable[[], Any]]

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
MODEL_CASES = ('mask_rcnn', 'ms_rcnn', 'plugin')


@dataclass
class Section:
    """Cases to be compared, by name. ``facts`` go into the record as they are."""

    name: str
    title: str
    cases: dict[str, Case]
    memory: bool = False
    facts: dict[str, Any] = field(default_factory=dict)


# --- cases


def replace_result(owner: Any, method: str, result: Any) -> None:
    """Makes a method do its work and return ``result``: what a trained model would return."""
    work = getattr(type(owner), method)

    def replaced(*args: Any, **kwargs: Any) -> Any:
        work(owner, *args, **kwargs)
        return result

    setattr(owner, method, replaced)


def features(roi_head: Model, scene: Scene) -> tuple[Tensor, ...]:
    """Returns the levels that a neck gives a RoI head: one for C4, else the five of a pyramid."""
    extractor: Any = roi_head.bbox_roi_extractor
    extractor = extractor[0] if isinstance(extractor, nn.ModuleList) else extractor
    strides = [16] if len(extractor.featmap_strides) == 1 else [4, 8, 16, 32, 64]
    height, width = scene.padded_size
    sizes = [(math.ceil(height / stride), math.ceil(width / stride)) for stride in strides]
    return tuple(scene.noise(extractor.out_channels, *size).requires_grad_() for size in sizes)


def targets(model: Model, scene: Scene, kind: str) -> Case:
    """Times the targets of the mask head, and of the MaskIoU head where the model has one."""
    roi_head, size = model.roi_head, model.roi_head.train_cfg.mask_size
    # mmdet cuts logits at 0.5, the plugin at 0: far from both, they make the same masks.
    logits = 100 * scene.noise(scene.setting.positives, size, size).flatten(0, 1)

    def prepare() -> Callable[[], Any]:
        gts = scene.instances(kind)
        boxes = [image.positives.clone() for image in scene.images]  # mmdet clips them in place.
        inds = [image.positive_inds for image in scene.images]
        results = [
            SimpleNamespace(pos_priors=b, pos_assigned_gt_inds=i) for b, i in zip(boxes, inds)
        ]

        def mask_targets() -> Tensor:
            return mask_target(boxes, inds, [gt.masks for gt in gts], roi_head.train_cfg)

        def stock() -> Tensor:
            get_targets = roi_head.mask_iou_head.get_targets
            return get_targets(results, gts, logits, mask_targets(), roi_head.train_cfg)

        def plugin() -> Tensor:
            prepare_masks(gts, logits.device)
            mask_targets()
            images = [
                gt.masks.ground_truth(b, i, (size, size)) for gt, b, i in zip(gts, boxes, inds)
            ]
            ground_truth = RoIGroundTruth(*(torch.cat(parts) for parts in zip(*images)))
            return mask_iou_target(logits.sigmoid(), ground_truth).iou

        if not hasattr(roi_head, 'mask_iou_head'):
            return mask_targets
        return stock if type(roi_head).__module__.startswith('mmdet.') else plugin

    return prepare


def loss(model: Model, scene: Scene, backward: bool = False) -> Case:
    """Times the loss of the RoI head and, on request, its backward pass."""
    roi_head = model.roi_head.train()
    levels = features(roi_head, scene)

    def prepare() -> Callable[[], Any]:
        roi_head.train().zero_grad()
        for level in levels:
            level.grad = None
        inputs = levels, scene.proposals(), scene.data_samples()
        torch.manual_seed(0)  # The samplers draw from it.

        def call() -> dict[str, Any]:
            losses = roi_head.loss(*inputs)
            if backward:
                model.parse_losses(losses)[0].backward()
            return losses

        return call

    return prepare


def training_step(model: Model, scene: Scene, head_only: bool = False) -> Case:
    """Times loss, backward and optimizer step, of the MaskIoU head alone on request."""
    # A tiny rate keeps the weights of all cases alike.
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-9, momentum=0.9, weight_decay=1e-4)
    wrapper = OptimWrapper(optimizer)
    runner = SimpleNamespace(model=model, optim_wrapper=wrapper, _load_from='model', _resume=False)
    hook = TrainMaskIoUHeadOnlyHook()
    model.train()
    if head_only:
        hook.before_run(runner)

    def prepare() -> Callable[[], Any]:
        inputs = scene.pixels(), scene.data_samples()
        replace_result(model.rpn_head, 'predict_by_feat', scene.proposals())
        if head_only:
            hook.before_train_iter(runner, 0)
        torch.manual_seed(0)
        return lambda: wrapper.update_params(model.parse_losses(model.loss(*inputs))[0])

    return prepare


def prediction(model: Model, scene: Scene, whole: bool = True) -> Case:
    """Times the prediction of a model or of its RoI head, masks pasted at the original size."""
    roi_head = model.roi_head
    roi_head.test_cfg.score_thr = 1.0  # NMS of the boxes of an untrained head takes long.

    def prepare() -> Callable[[], Any]:
        model.eval()
        replace_result(roi_head, 'predict_bbox', scene.detections())
        samples = scene.data_samples()
        inputs: tuple[Any, ...] = (scene.pixels(), samples)
        if not whole:
            inputs = features(roi_head, scene), scene.proposals(), samples
        predict = model.predict if whole else roi_head.predict
        return lambda: torch.no_grad()(predict)(*inputs, rescale=True)

    return prepare


def evaluation(metric_type: type[CocoMetric], scene: Scene) -> Case:
    """Times a metric's evaluation of the masks of a scene."""
    coco, predictions = detected_scene(scene)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'annotations.json'
        path.write_text(json.dumps(coco))
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints.
            metric = metric_type(ann_file=str(path), metric='segm')
    metric.dataset_meta = dict(classes=[category['name'] for category in coco['categories']])

    def prepare() -> Callable[[], Any]:
        metric.process({}, copy.deepcopy(predictions))

        def call() -> dict[str, float]:
            with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints.
                return metric.evaluate(len(predictions))

        return call

    return prepare


# --- sections


def sections(group: str, setting: Setting) -> Iterator[Section]:
    """Builds the sections of a group one after the other."""
    return GROUPS[group](setting)


def _targets(setting: Setting) -> Iterator[Section]:
    scene, built = Scene(setting, images=2), models('ms_rcnn_r50_fpn', setting, MODEL_CASES)
    for kind in ('bitmaps', 'polygons'):
        cases = {name: targets(model, scene, kind) for name, model in built.items()}
        title = f'mask and MaskIoU targets of 2 images, {kind}'
        yield Section(f'targets/{kind}', title, cases, memory=True)


def _scaling(setting: Setting) -> Iterator[Section]:
    built = models('ms_rcnn_r50_fpn', setting, MODEL_CASES)
    height, width = size = setting.image_size
    one, usual, many = 1, setting.objects, 5 * setting.objects
    half = (height // 2, width // 2)
    for image_size, objects in ((half, usual), (size, one), (size, usual), (size, many)):
        for positives in sorted({max(1, setting.positives // part) for part in (16, 4, 1)}):
            cell: dict[str, Any] = dict(image_size=image_size, objects=objects, positives=positives)
            scene = Scene(replace(setting, **cell), images=2)
            cases = {name: targets(built[name], scene, 'bitmaps') for name in MODEL_CASES[1:]}
            name = f'scaling/{image_size[0]}x{image_size[1]}/{objects}/{positives}'
            yield Section(name, 'targets of 2 images, bitmaps', cases, facts=cell)


def _loss(setting: Setting) -> Iterator[Section]:
    scene, built = Scene(setting, images=2), models('ms_rcnn_r50_fpn', setting, MODEL_CASES)
    for part in ('forward', 'backward'):
        cases = {name: loss(model, scene, part == 'backward') for name, model in built.items()}
        title = 'RoI head, loss of 2 images' + ', with backward' * (part == 'backward')
        yield Section(f'loss/{part}', title, cases, memory=True)


def _step(setting: Setting) -> Iterator[Section]:
    scene, built = Scene(setting, images=1), models('ms_rcnn_r50_fpn', setting, MODEL_CASES)
    cases = {name: training_step(model, scene) for name, model in built.items()}
    alone = models('ms_rcnn_r50_fpn', setting)['plugin']
    cases['head_only'] = training_step(alone, scene, head_only=True)
    yield Section('step', 'whole model, training step of 1 image', cases, memory=True)


def _prediction(setting: Setting) -> Iterator[Section]:
    scene, built = Scene(setting, images=1), models('ms_rcnn_r50_fpn', setting, MODEL_CASES)
    cases = {name: prediction(model, scene) for name, model in built.items()}
    title = f'whole model, prediction of {DETECTIONS} detections'
    yield Section('prediction', title, cases, memory=True)


def _rankings(setting: Setting) -> Iterator[Section]:
    scene = Scene(setting, images=setting.ranked_images)
    cases = dict(coco=evaluation(CocoMetric, scene), plugin=evaluation(MaskScoringMetric, scene))
    title = f'mask AP of {setting.ranked_images} images, {DETECTIONS} detections each'
    yield Section('rankings', title, cases)


def _hosts(setting: Setting) -> Iterator[Section]:
    scene = Scene(setting, images=1)
    for name in HOSTS:
        built = models(name, setting)
        head = built['plugin'].roi_head.mask_iou_head
        facts = dict(parameters=sum(parameter.numel() for parameter in head.parameters()))
        title = f'{name}, RoI head, '
        cases = {case: prediction(model, scene, whole=False) for case, model in built.items()}
        yield Section(f'hosts/{name}/prediction', title + 'prediction', cases, facts=facts)
        cases = {case: loss(model, scene) for case, model in built.items()}
        yield Section(f'hosts/{name}/loss', title + 'loss', cases, facts=facts)


GROUPS = dict(
    targets=_targets,
    scaling=_scaling,
    loss=_loss,
    step=_step,
    prediction=_prediction,
    rankings=_rankings,
    hosts=_hosts,
)
