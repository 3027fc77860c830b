"""Which models can be deployed: those whose prediction `DeploymentModel` computes as the host does.

A model that differs in one part would be exported without an error and predict other numbers. So
everything that the deployment module computes in place of the host is checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmcv.ops import RoIAlign
from mmdet.models import detectors
from mmdet.models.dense_heads import RPNHead
from mmdet.models.roi_heads import BBoxHead, FCNMaskHead, SingleRoIExtractor
from mmdet.models.task_modules import DeltaXYWHBBoxCoder
from torch import nn

from ..models import MSDynamicRoIHead, MSMaskIoUHead, MSPISARoIHead, MSRoIHead

# The other two differ from the first in training alone.
ROI_HEADS = (MSRoIHead, MSDynamicRoIHead, MSPISARoIHead)
NMS_KEYS = {'type', 'iou_threshold', 'class_agnostic'}


def require_supported(model: nn.Module) -> None:
    """Raises a ValueError that names the first part of a model that cannot be deployed."""
    for problem in _problems(model):
        raise ValueError(
            f'{problem}. Only Mask R-CNN, Dynamic R-CNN and PISA, with FPN or C4, can be exported; '
            'docs/export.md lists what it may consist of.'
        )


def _problems(model: Any) -> Iterator[str]:
    roi_head: Any = getattr(model, 'roi_head', None)
    if roi_head is None:
        yield f'the model is a {type(model).__name__}, which has no RoI head'
    if type(roi_head) not in ROI_HEADS:
        yield f'the RoI head is a {type(roi_head).__name__}, which cannot be exported'
    if getattr(roi_head, 'mask_rank_head', None) is not None:
        yield (
            'the model has a mask_rank_head, which cannot be exported. Without it and its '
            'calibration the mask score is class score x predicted IoU: --cfg-options '
            'model.roi_head.mask_rank_head=None model.roi_head.mask_iou_calibration=None'
        )
    yield from _own_method(model, 'the detector', 'predict', detectors.TwoStageDetector)
    yield from _own_method(model.rpn_head, 'rpn_head', '_predict_by_feat_single', RPNHead)
    yield from _own_method(roi_head.bbox_head, 'bbox_head', '_predict_by_feat_single', BBoxHead)
    yield from _own_method(roi_head.mask_head, 'mask_head', '_predict_by_feat_single', FCNMaskHead)
    yield from _another(roi_head.mask_iou_head, 'mask_iou_head', MSMaskIoUHead)
    if not roi_head.bbox_head.with_reg or roi_head.bbox_head.custom_cls_channels:
        yield 'bbox_head has no regression, or a loss with classes of its own'
    for name in ('bbox_roi_extractor', 'mask_roi_extractor'):
        extractor = getattr(roi_head, name)
        yield from _another(extractor, name, SingleRoIExtractor)
        for layer in extractor.roi_layers:
            yield from _another(layer, f'the layer of {name}', RoIAlign)
            if layer.pool_mode != 'avg':
                yield f'{name} pools with pool_mode={layer.pool_mode!r}, not avg'
    for name, head in (('rpn_head', model.rpn_head), ('bbox_head', roi_head.bbox_head)):
        yield from _another(head.bbox_coder, f'the bbox_coder of {name}', DeltaXYWHBBoxCoder)
        if head.bbox_coder.add_ctr_clamp:
            yield f'the bbox_coder of {name} has add_ctr_clamp'
    for name, cfg in (('rpn', model.rpn_head.test_cfg), ('rcnn', roi_head.test_cfg)):
        nms = cfg.get('nms') or {}
        if nms.get('type', 'nms') != 'nms' or set(nms) - NMS_KEYS:
            yield f'test_cfg.{name}.nms is {dict(nms)}, not plain NMS'
    for name, layer in model.named_modules():
        if type(layer).__module__.startswith('mmcv.ops') and type(layer) is not RoIAlign:
            yield f'{name} is a {type(layer).__name__}, an operator that ONNX does not have'


def _own_method(part: Any, name: str, method: str, base: type) -> Iterator[str]:
    if getattr(type(part), method, None) is not getattr(base, method):
        yield f'{name} is a {type(part).__name__}, which predicts otherwise than {base.__name__}'


def _another(part: Any, name: str, expected: type) -> Iterator[str]:
    if type(part) is not expected:
        yield f'{name} is a {type(part).__name__}, not a {expected.__name__}'
