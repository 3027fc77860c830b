"""What the host's mask branch computes, observed while the host runs.

The hosts drop the RoI features (cascades) or the logits (all of them, at prediction) as soon as
they are used. Computing them again would double the cost of the mask branch. Copying the host's
methods to keep them would tie this package to one version of it. So the mask head is observed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import wraps
from inspect import signature
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from mmdet.structures.bbox import get_box_tensor
from torch import Tensor, nn

from ..geometry import RoIGroundTruth, gather_by_label
from .ground_truth_masks import RoIMasks, prepare_masks


class MaskHeadCall(NamedTuple):
    """One forward of a mask head.

    Attributes:
        roi_feats: (R, C, S, S).
        mask_logits: (R, K, M, M); K = 1 where class-agnostic.
    """

    roi_feats: Tensor
    mask_logits: Tensor


class MaskLossInputs(NamedTuple):
    """What one mask loss of the host is given: the positives of a batch, image after image.

    Attributes:
        stage: of a cascade, from 0.
        mask_logits: (R, K, M, M).
        labels: (R,) long, the class of each positive's ground truth.
        boxes: of each image (P, 4) input pixels.
        inds: of each image (P,) long, the ground truth of each positive.
        masks: of each image its ground-truth masks.
    """

    stage: int
    mask_logits: Tensor
    labels: Tensor
    boxes: Sequence[Tensor]
    inds: Sequence[Tensor]
    masks: Sequence[RoIMasks]

    def ground_truth(self, size: tuple[int, int]) -> RoIGroundTruth:
        """Computes the ground truth of all positives on a grid of ``size`` (height, width)."""
        images = [
            masks.ground_truth(boxes, inds, size)
            for masks, boxes, inds in zip(self.masks, self.boxes, self.inds)
        ]
        return RoIGroundTruth(*(torch.cat(parts) for parts in zip(*images)))


def stages(module: Any) -> list[Any]:
    """Lists the modules of a cascade's stages, or the only one."""
    return list(module) if isinstance(module, nn.ModuleList) else [module]


@contextmanager
def observe_mask_head(mask_head: nn.Module) -> Iterator[list[MaskHeadCall]]:
    """Collects the calls of ``mask_head``, a head or a ModuleList of stages, in their order."""
    calls: list[MaskHeadCall] = []

    def keep(_: nn.Module, inputs: tuple, output: Any) -> None:
        # HTC's heads return [logits, feature for the next stage].
        logits = output[0] if isinstance(output, (list, tuple)) else output
        calls.append(MaskHeadCall(inputs[0], logits))

    handles = [head.register_forward_hook(keep) for head in stages(mask_head)]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def observe_mask_loss(mask_head: nn.Module, *, muted: bool) -> Iterator[list[MaskLossInputs]]:
    """Collects what the host's mask losses are given, and makes the ground truth fast to crop.

    A RoI head may change its RoIs and masks on the way: what its loss sees is learned from.

    Args:
        mask_head: a head or a ModuleList of stages.
        muted: give a loss of 0 in place of the host's, which is not computed.
    """
    seen: list[MaskLossInputs] = []
    with ExitStack() as stack:
        for stage, head in enumerate(stages(mask_head)):
            observed = _observed_loss(head.loss_and_target, stage, seen, muted)
            stack.enter_context(patch.object(head, 'loss_and_target', observed))
        yield seen


def _observed_loss(
    loss_and_target: Callable, stage: int, seen: list[MaskLossInputs], muted: bool
) -> Callable:
    @wraps(loss_and_target)
    def keep(*args: Any, **kwargs: Any) -> dict:
        given = arguments(loss_and_target, *args, **kwargs)
        mask_logits, sampled = given['mask_preds'], given['sampling_results']
        prepare_masks(given['batch_gt_instances'], mask_logits.device)
        inputs = MaskLossInputs(
            stage,
            mask_logits,
            torch.cat([res.pos_gt_labels for res in sampled]),
            [get_box_tensor(res.pos_priors) for res in sampled],
            [res.pos_assigned_gt_inds for res in sampled],
            [gts.masks for gts in given['batch_gt_instances']],
        )
        seen.append(inputs)
        if muted:
            return dict(loss_mask=dict(loss_mask=mask_logits.new_zeros(())))
        return loss_and_target(*args, **kwargs)

    return keep


@contextmanager
def observe_final_masks(mask_head: nn.Module) -> Iterator[list[Tensor]]:
    """Collects, image by image, the probabilities (N, M, M) of the masks that the host pastes.

    A cascade has merged its stages by then, and PointRend has refined them: what comes out of the
    mask head is not always the final mask.
    """
    head = stages(mask_head)[-1]
    predict_by_feat = head.predict_by_feat
    final_mask_probs: list[Tensor] = []

    @wraps(predict_by_feat)
    def keep(*args: Any, **kwargs: Any) -> Any:
        given = arguments(predict_by_feat, *args, **kwargs)
        for masks, results in zip(given['mask_preds'], given['results_list']):
            masks = gather_by_label(masks, results.labels)
            # Merged masks are probabilities already.
            final_mask_probs.append(masks if given['activate_map'] else masks.sigmoid())
        return predict_by_feat(*args, **kwargs)

    with patch.object(head, 'predict_by_feat', keep):
        yield final_mask_probs


def arguments(function: Callable, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Binds the arguments of a call to their names; the hosts differ in the order."""
    bound = signature(function).bind(*args, **kwargs)
    bound.apply_defaults()
    return bound.arguments
