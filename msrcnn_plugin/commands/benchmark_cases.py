"""What `msrcnn benchmark` times: sections of cases that do the same work on the same scene.

A case can be called again and again. The cases of a section share ground truth, proposals,
weights and the seed of the samplers.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from mmdet.evaluation import CocoMetric
from mmdet.structures.mask import mask_target
from mmengine.optim import OptimWrapper
from pycocotools import mask as rle_tools
from torch import Tensor

from ..evaluation import MaskScoringMetric
from ..geometry import RoIGroundTruth, mask_iou_target
from ..hooks import TrainMaskIoUHeadOnlyHook
from ..models.ground_truth_masks import prepare_masks
from .benchmark_scene import DETECTIONS, NUM_CLASSES, Model, Scene, Setting, models

Case = Callable[[], Any]

POSITIVES = (8, 32, 128)  # of an image, to be compared
OTHERS = ('cascade', 'htc', 'scnet', 'point_rend', 'dynamic', 'double_head', 'pisa')
HOSTS = ('ms_rcnn_r50_fpn', 'ms_rcnn_r50_c4', *(f'{name}_ms_rcnn_r50_fpn' for name in OTHERS))


class Section(NamedTuple):
    """Cases to be compared, by name; of a host also the parameters of its MaskIoU head."""

    title: str
    cases: dict[str, Case]
    parameters: int | None = None


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
    size, labels = scene.setting.image_size, scene.labels.tolist()
    chosen = [number % len(labels) for number in range(DETECTIONS)]
    found = dict(bboxes=torch.zeros(DETECTIONS, 4), labels=torch.tensor(labels)[chosen])
    torch.manual_seed(0)
    scores, ious = torch.rand(2, DETECTIONS)
    found.update(scores=scores, mask_ious=ious, mask_scores=scores * ious)
    samples = []
    for number, (boxes, outlines) in enumerate(zip(scene.boxes.tolist(), scene.outlines)):
        masks = rle_tools.frPyObjects(outlines.tolist(), *size)
        pairs = zip(labels, boxes, masks)
        gts = [dict(bbox_label=label, bbox=box, mask=mask) for label, box, mask in pairs]
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


# --- sections


def sections(group: str, setting: Setting) -> Iterator[Section]:
    """Builds the sections of a group one after the other."""
    if group == 'rankings':
        scene = Scene(setting, setting.ranked_images)
        metrics = dict(coco=CocoMetric, plugin=MaskScoringMetric)
        cases = {name: evaluation(metric, scene) for name, metric in metrics.items()}
        yield Section(f'mask AP of {len(scene.boxes)} images, {DETECTIONS} detections each', cases)
        return
    scene = Scene(setting, images=2 if group in ('targets', 'loss') else 1)
    if group == 'hosts':
        for config in HOSTS:
            built, cases = models(config, setting, 'stock', 'plugin'), {}
            for name, model in built.items():
                cases[f'prediction/{name}'] = prediction(model, scene, whole=False)
                cases[f'loss/{name}'] = loss(model, scene)
            head = built['plugin'].roi_head.mask_iou_head
            yield Section(config, cases, sum(weight.numel() for weight in head.parameters()))
        return
    built = models('ms_rcnn_r50_fpn', setting, 'stock', 'ms_rcnn', 'plugin')

    def of_each(case: Callable[..., Case], *args: Any) -> dict[str, Case]:
        return {name: case(model, scene, *args) for name, model in built.items()}

    if group == 'targets':
        for kind in ('bitmaps', 'polygons'):
            yield Section(f'mask and MaskIoU targets of 2 images, {kind}', of_each(targets, kind))
    elif group == 'loss':
        yield Section('RoI head, loss of 2 images', of_each(loss))
        yield Section('RoI head, loss of 2 images, with backward', of_each(loss, True))
    elif group == 'step':
        cases = of_each(training_step)
        alone = models('ms_rcnn_r50_fpn', setting, 'plugin')['plugin']
        cases['head_only'] = training_step(alone, scene, True)
        yield Section('whole model, training step of 1 image', cases)
    elif group == 'prediction':
        yield Section(f'whole model, prediction of {DETECTIONS} detections', of_each(prediction))
    elif group == 'scaling':
        whole, usual = setting.image_size, setting.objects
        half = (whole[0] // 2, whole[1] // 2)
        for size, objects in ((half, usual), (whole, 1), (whole, usual), (whole, 5 * usual)):
            own = setting._replace(image_size=size, objects=objects, positives=POSITIVES[-1])
            scene = Scene(own, images=2)
            cases = {
                f'{positives}/{name}': targets(built[name], scene, 'bitmaps', positives)
                for positives in POSITIVES
                for name in ('ms_rcnn', 'plugin')
            }
            yield Section(f'{size[0]} × {size[1]}, {objects} objects', cases)
