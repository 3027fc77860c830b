"""The prediction for the class of each RoI."""

from __future__ import annotations

import torch
from torch import Tensor


def gather_by_label(predictions: Tensor, labels: Tensor) -> Tensor:
    """Gathers, of each RoI's ``K`` predictions, the one for its class.

    Args:
        predictions: (R, K, ...) anything predicted for each class. ``K = 1`` is class-agnostic:
            the one prediction serves every class.
        labels: (R,) long, classes counted from 0.

    Returns:
        (R, ...).
    """
    if predictions.size(1) == 1:
        return predictions[:, 0]
    # shape[0], not len: an exporter would take the length for a constant.
    return predictions[torch.arange(labels.shape[0], device=predictions.device), labels]
