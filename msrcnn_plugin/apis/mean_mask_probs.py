"""The score that needs no training: how sure a model is of the pixels of its mask.

One-stage models rank their masks by it (SOLOv2, Mask2Former). A MaskIoU head has to be better.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmdet.utils import InstanceList
from torch import Tensor, nn

from ..models.mask_forward import observe_final_masks


@contextmanager
def give_mean_mask_probs(model: nn.Module) -> Iterator[None]:
    """While it lasts, predictions have ``mask_mean_probs`` (N,) in [0, 1].

    So have those of a plain Mask R-CNN. A model without a mask head behind RoIs is left as it is.
    """
    roi_head = getattr(model, 'roi_head', None)
    if not getattr(roi_head, 'with_mask', False):
        yield
        return
    predict_mask = roi_head.predict_mask

    def with_mean_probs(*args, **kwargs) -> InstanceList:
        with observe_final_masks(roi_head.mask_head) as emitted:
            results_list = predict_mask(*args, **kwargs)
        # The host returns before its mask head where it detects nothing.
        none = [results.scores.new_zeros(0, 1, 1) for results in results_list]
        for results, mask_probs in zip(results_list, emitted or none):
            results.mask_mean_probs = mean_mask_prob(mask_probs)
        return results_list

    roi_head.predict_mask = with_mean_probs
    try:
        yield
    finally:
        del roi_head.predict_mask


def mean_mask_prob(mask_probs: Tensor, threshold: float = 0.5) -> Tensor:
    """Mean probability (N,) of the cells of each mask that are foreground, 0 where none is.

    Args:
        mask_probs: (N, M, M) probability.
        threshold: probability above which a cell is foreground.
    """
    foreground = mask_probs > threshold
    total = torch.where(foreground, mask_probs, 0.0).sum((1, 2))
    return total / foreground.sum((1, 2)).clamp(min=1)
