"""A loss of the order of the predictions alone, which is all that AP sees of them."""

from typing import Optional

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class PairwiseRankingLoss(nn.Module):
    """Logistic loss of pairs of samples (RankNet, Burges et al., ICML 2005).

    The mean over all pairs of the batch with targets t_i > t_j of log(1 + exp(p_j - p_i)), a pair
    weighing the product of its samples' weights. What is predicted is a logit. It is free but for
    its order: added to another loss (`SummedLoss`) it stays an IoU. Time and memory go with R².

    Args:
        min_difference: pairs whose targets differ by no more than this are left out, from 0.
        loss_weight: factor.
    """

    use_sigmoid = True

    def __init__(self, *, min_difference: float = 0.0, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.min_difference = min_difference
        self.loss_weight = loss_weight

    def forward(
        self,
        pred: Tensor,
        target: Tensor,
        weight: Optional[Tensor] = None,
        avg_factor: Optional[Tensor] = None,
    ) -> Tensor:
        """The loss, a scalar; 0 without a pair.

        Args:
            pred: (R,) logits.
            target: (R,) IoU.
            weight: (R,), 0 for samples in no pair; 1 by default.
            avg_factor: a number of samples, of no use to a mean over pairs.
        """
        weight = torch.ones_like(target) if weight is None else weight
        pairs = (target[:, None] - target > self.min_difference) * weight[:, None] * weight
        losses = pairs * F.softplus(pred - pred[:, None])
        return self.loss_weight * losses.sum() / pairs.sum().clamp(min=torch.finfo(pairs.dtype).eps)
