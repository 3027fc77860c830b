"""Post-hoc calibration of the predicted MaskIoU, carried by the checkpoint.

The map is fitted by `tools/calibrate.py` and lies in the *metadata of the state dict*, where torch
keeps each module's version. It is no weight: the state dict has the keys of the uncalibrated model,
which loads the same file strictly and ignores the map. And it reaches the module wherever weights
are loaded, in a test as in ``init_detector``, which hand ``checkpoint['meta']`` to no module.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmdet.registry import MODELS
from mmengine.structures import InstanceData
from torch import Tensor, nn

# Names of the two modules in a RoI head with mask scoring.
HEAD_NAME, CALIBRATION_NAME = 'mask_iou_head', 'mask_iou_calibration'


@MODELS.register_module()
class MaskIoUCalibration(nn.Module):
    """Puts calibrated values into the predictions' ``mask_ious``, what they were beside them.

    The map is piecewise linear over ``n`` knots and increases, so the order of ``mask_ious`` stays.
    ``mask_scores`` stay the product with the uncalibrated IoU: calibration is about what the number
    means, and would change the order of the products, for better or worse.

    Until a calibrated checkpoint is loaded the map is the identity. One without a map is refused.

    Args:
        rerank: make ``mask_scores`` the product with the calibrated IoU.
    """

    def __init__(self, *, rerank: bool = False) -> None:
        super().__init__()
        self.rerank = rerank
        self.fitted = False
        self.register_buffer('knots', torch.tensor([0.0, 1.0]), persistent=False)
        self.register_buffer('values', torch.tensor([0.0, 1.0]), persistent=False)

    def forward(self, mask_ious: Tensor) -> Tensor:
        """Calibrated IoU (N,) in [0, 1] of predicted IoU (N,) in [0, 1]."""
        right = torch.searchsorted(self.knots, mask_ious.contiguous(), right=True)
        right = right.clamp(1, len(self.knots) - 1)
        x0, x1, y0, y1 = (t[i] for t in (self.knots, self.values) for i in (right - 1, right))
        calibrated = y0 + (mask_ious - x0) * ((y1 - y0) / (x1 - x0))
        # Rounding may lift the end of a piece above the start of the next.
        return torch.minimum(calibrated, y1)

    def rescore(self, results: InstanceData) -> None:
        """Calibrate an image's predictions in place; they gain ``uncalibrated_mask_ious`` (N,)."""
        results.uncalibrated_mask_ious = results.mask_ious
        results.mask_ious = self(results.mask_ious)
        if self.rerank:
            results.mask_scores = results.scores * results.mask_ious

    def set_map(self, knots: Sequence[float], values: Sequence[float]) -> None:
        """Calibrate by the line through the points; both (n,), rising, ``knots`` from 0 to 1."""
        knots = torch.tensor(knots, dtype=torch.float32, device=self.knots.device)
        values = torch.tensor(values, dtype=torch.float32, device=self.values.device)
        if not _is_map(knots, values):
            raise ValueError(
                f'a calibration of {len(knots)} knots and {len(values)} values; as many of both '
                'are expected, rising within [0, 1], the knots from 0 to 1. Fit it anew with '
                'tools/calibrate.py.'
            )
        self.knots, self.values = knots, values
        self.fitted = True

    # The map goes with the weights it was fitted to. Trained on, they need another: a model that
    # trains does not hand it on.

    def _save_to_state_dict(self, destination: dict, prefix: str, *args) -> None:
        super()._save_to_state_dict(destination, prefix, *args)
        if self.fitted and not self.training and hasattr(destination, '_metadata'):
            entry = dict(knots=self.knots.tolist(), values=self.values.tolist())
            destination._metadata[prefix[:-1]].update(entry)

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args) -> None:
        if 'knots' not in local_metadata:
            raise ValueError(
                f'the config asks for {prefix[:-1]}, but the checkpoint carries no calibration. '
                'Fit one with tools/calibrate.py, or leave mask_iou_calibration out of the config.'
            )
        self.set_map(local_metadata['knots'], local_metadata['values'])
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)


def calibrated_checkpoint(
    checkpoint: Mapping[str, Any], knots: Sequence[float], values: Sequence[float]
) -> dict[str, Any]:
    """A checkpoint, whole or a state dict alone, with a calibration for its MaskIoU head.

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
    state_dict = OrderedDict(weights)
    state_dict._metadata = OrderedDict(getattr(weights, '_metadata', {}))
    for place in places:
        # mmengine strips "module." from the weights it loads, not from the metadata.
        name = place.removeprefix('module.') + CALIBRATION_NAME
        entry = dict(version=1, knots=[*map(float, knots)], values=[*map(float, values)])
        state_dict._metadata[name] = entry
    whole = checkpoint if 'state_dict' in checkpoint else {}
    return {**whole, 'state_dict': state_dict}


def _is_map(knots: Tensor, values: Tensor) -> bool:
    return (
        len(knots) == len(values) > 1
        and knots[0] == 0
        and knots[-1] == 1
        and bool((knots.diff() > 0).all())
        and values[0] >= 0
        and values[-1] <= 1
        and bool((values.diff() >= 0).all())
    )
