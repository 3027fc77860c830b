"""The prediction that belongs to the class of each RoI."""

import torch
from torch import Tensor


def choose_class(predictions: Tensor, labels: Tensor) -> Tensor:
    """Keep of each RoI's ``K`` predictions the one of its class.

    Args:
        predictions: (R, K, ...) anything predicted for each class. ``K = 1`` is class-agnostic: the
            one prediction serves every class.
        labels: (R,) long, classes counted from 0.

    Returns:
        (R, ...) the predictions chosen.
    """
    if predictions.size(1) == 1:
        return predictions[:, 0]
    return predictions[torch.arange(len(labels), device=predictions.device), labels]
