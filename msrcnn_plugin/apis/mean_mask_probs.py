"""Scores that need no training: how certain a model is of the pixels of its mask.

One-stage models rank their masks by the mean probability (SOLOv2, Mask2Former), Segment Anything
filters its masks by stability. A MaskIoU head has to be better than both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from mmdet.utils import InstanceList
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ..geometry.detection_numbers import soft_numbers
from ..models import DetectorMaskScoringMixin
from ..models.mask_forward import observe_final_masks


@contextmanager
def give_mean_mask_probs(model: nn.Module) -> Iterator[None]:
    """Adds ``mask_mean_probs`` and ``mask_stabilities`` to predictions while the block lasts.

    Both are (N,) in [0, 1].

    A plain Mask R-CNN gains them too. Without RoI heads a model gains them if it has mask scores,
    from the soft masks that its MaskIoU head sees; else it stays as it is.
    """
    if isinstance(model, DetectorMaskScoringMixin):
        with patch.object(model, 'score_instances', _with_mean_probs(model.score_instances)):
            yield
        return
    roi_head: Any = getattr(model, 'roi_head', None)
    if not getattr(roi_head, 'with_mask', False):
        yield
        return
    predict_mask = roi_head.predict_mask

    def with_mean_probs(*args: Any, **kwargs: Any) -> InstanceList:
        with observe_final_masks(roi_head.mask_head) as final_mask_probs:
            results_list = predict_mask(*args, **kwargs)
        # The host returns before its mask head where it detects nothing.
        none = [results.scores.new_zeros(0, 1, 1) for results in results_list]
        for results, mask_probs in zip(results_list, final_mask_probs or none, strict=True):
            results.mask_mean_probs = mean_mask_prob(mask_probs)
            results.mask_stabilities = mask_stability(mask_probs)
        return results_list

    with patch.object(roi_head, 'predict_mask', with_mean_probs):
        yield


def _with_mean_probs(score_instances: Callable[..., None]) -> Callable[..., None]:
    def score(results: InstanceData, mask_ious: Tensor, mask_probs: Tensor, boxes: Tensor) -> None:
        score_instances(results, mask_ious, mask_probs, boxes)
        results.mask_mean_probs = mean_mask_prob(mask_probs)
        results.mask_stabilities = mask_stability(mask_probs)

    return score


def mean_mask_prob(mask_probs: Tensor, threshold: float = 0.5) -> Tensor:
    """Computes the mean probability (N,) of each mask's foreground cells; 0 where there are none.

    Args:
        mask_probs: (N, M, M) probability.
        threshold: probability above which a cell is foreground.
    """
    mean: Tensor = soft_numbers(mask_probs, threshold)[:, 0]
    return mean


def mask_stability(mask_probs: Tensor, low: float = 0.3, high: float = 0.7) -> Tensor:
    """Computes the IoU (N,) of each mask cut at ``low`` and cut at ``high``; 0 where it is empty.

    Segment Anything cuts the logits at -1 and 1, which are probabilities of 0.269 and 0.731.

    Args:
        mask_probs: (N, M, M) probability.
        low, high: ascending; the mask of ``high`` lies within that of ``low``.
    """
    inner, outer = ((mask_probs > limit).sum((1, 2)) for limit in (high, low))
    return inner / outer.clamp(min=1)
