"""Post-hoc calibration of the predicted IoU, carried by the checkpoint.

The map is fitted by ``msrcnn calibrate``. It is two entries of the state dict, ``knots`` and
``values`` of ``mask_iou_calibration``, beside the weights that it was fitted to. So it reaches the
module wherever weights are loaded, in a test as in ``init_detector``. A model without calibration
loads the same file strictly and ignores the map.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmdet.registry import MODELS
from mmengine.structures import InstanceData
from torch import Tensor, nn

# Names of the two modules in a RoI head with mask scoring.
HEAD_NAME, CALIBRATION_NAME = 'mask_iou_head', 'mask_iou_calibration'
MAP = ('knots', 'values')


@MODELS.register_module()
class MaskIoUCalibration(nn.Module):
    """Replaces the predictions' ``mask_ious`` by calibrated ones, and keeps the original.

    The map is piecewise linear over ``n`` knots and increases, so the order of ``mask_ious`` stays.
    ``mask_scores`` stay the product with the uncalibrated IoU. Calibration gives the number its
    meaning; it would change the order of the products, for better or worse.

    The map is the identity until a calibrated checkpoint is loaded. A checkpoint without a map is
    refused.

    Args:
        rerank: make ``mask_scores`` the product with the calibrated IoU.
    """

    knots: Tensor
    values: Tensor

    def __init__(self, *, rerank: bool = False) -> None:
        super().__init__()
        self.rerank = rerank
        self.fitted = False
        self.register_buffer('knots', torch.tensor([0.0, 1.0]), persistent=False)
        self.register_buffer('values', torch.tensor([0.0, 1.0]), persistent=False)

    def forward(self, mask_ious: Tensor) -> Tensor:
        """Maps predicted IoU (N,) in [0, 1] to calibrated IoU (N,) in [0, 1]."""
        # The number of knots at or below: searchsorted, in operators that can be exported.
        right = (mask_ious[:, None] >= self.knots).sum(1)
        right = right.clamp(1, len(self.knots) - 1)
        x0, x1, y0, y1 = (t[i] for t in (self.knots, self.values) for i in (right - 1, right))
        calibrated = y0 + (mask_ious - x0) * ((y1 - y0) / (x1 - x0))
        # Rounding may lift the end of a piece above the start of the next.
        return torch.minimum(calibrated, y1)

    def rescore(self, results: InstanceData) -> None:
        """Calibrates an image's predictions in place; they gain ``uncalibrated_mask_ious`` (N,)."""
        results.uncalibrated_mask_ious = results.mask_ious
        results.mask_ious = self(results.mask_ious)
        if self.rerank:
            results.mask_scores = results.scores * results.mask_ious

    def set_map(self, knots: Sequence[float], values: Sequence[float]) -> None:
        """Sets the line through the points; both (n,), rising, ``knots`` from 0 to 1."""
        points = [torch.tensor([*map(float, axis)]) for axis in (knots, values)]
        if not _is_map(*points):
            raise ValueError(
                f'a calibration of {len(knots)} knots and {len(values)} values; as many of both '
                'are expected, rising within [0, 1], the knots from 0 to 1. Fit it again with '
                'msrcnn calibrate.'
            )
        self.knots, self.values = (axis.to(self.knots.device) for axis in points)
        self.fitted = True

    # The map belongs to the weights it was fitted to. Weights that are trained further need another
    # map. So a model that was set to training does not save it, even back in eval mode.

    def train(self, mode: bool = True) -> MaskIoUCalibration:
        self.fitted = self.fitted and not mode
        return super().train(mode)

    def _save_to_state_dict(self, destination: dict, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self.fitted:
            destination.update(_entries(prefix, self.knots, self.values))

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *args: Any
    ) -> None:
        # Checkpoints of before kept the map in torch's metadata.
        knots, values = (state_dict.get(prefix + key, local_metadata.get(key)) for key in MAP)
        if knots is None or values is None:
            raise ValueError(
                f'the config asks for {prefix[:-1]}, but the checkpoint has no {prefix}knots and '
                f'{prefix}values. Fit a calibration with msrcnn calibrate, or leave '
                'mask_iou_calibration out of the config.'
            )
        self.set_map(knots, values)


def calibrated_checkpoint(
    checkpoint: Mapping[str, Any], knots: Sequence[float], values: Sequence[float]
) -> dict[str, Any]:
    """Adds a calibration of its MaskIoU head to a checkpoint, whole or a state dict alone.

    Args:
        checkpoint: stays as it is.
        knots, values: (n,) as `MaskIoUCalibration.set_map` takes them.

    Raises:
        ValueError: without a MaskIoU head.
    """
    MaskIoUCalibration().set_map(knots, values)
    weights = checkpoint.get('state_dict', checkpoint)
    places = {key.split(f'{HEAD_NAME}.')[0] for key in weights if f'{HEAD_NAME}.' in key}
    if not places:
        raise ValueError(
            f'the checkpoint has no {HEAD_NAME} among its {len(weights)} entries: give one of a '
            'model with mask scoring.'
        )
    state_dict = copy.copy(weights)  # with its metadata
    for place in places:
        state_dict.update(_entries(f'{place}{CALIBRATION_NAME}.', knots, values))
    whole = checkpoint if 'state_dict' in checkpoint else {}
    return {**whole, 'state_dict': state_dict}


def _entries(
    prefix: str, knots: Sequence[float] | Tensor, values: Sequence[float] | Tensor
) -> dict[str, Tensor]:
    axes = (torch.as_tensor(axis, dtype=torch.float32).clone() for axis in (knots, values))
    return {prefix + key: axis for key, axis in zip(MAP, axes)}


def _is_map(knots: Tensor, values: Tensor) -> bool:
    return bool(
        len(knots) == len(values) > 1
        and knots[0] == 0
        and knots[-1] == 1
        and (knots.diff() > 0).all()
        and values[0] >= 0
        and values[-1] <= 1
        and (values.diff() >= 0).all()
    )
