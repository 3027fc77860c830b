"""The ranking head: a score for each mask that sees the other detections of its image.

An IoU cannot rank down a duplicate of a good mask. AP counts it as a false positive. The ranking
head learns U as well, what a detection is worth to AP: the share of the IoU thresholds at which it
is the match of its object, in the order of class score × predicted IoU. A duplicate's U is 0.

It is ours, not the paper's. ``msrcnn fit`` fits it to a trained model.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmengine.model import BaseModule
from mmengine.structures import InstanceData
from torch import Tensor, nn

from .rank_inputs import NUMBERS, PAIRS, rank_inputs

RANK_NAME = 'mask_rank_head'  # the module in a RoI head with mask scoring
# The entry of a state dict that names the numbers that the weights beside it read.
INPUT_ENTRY = 'input_names'
LARGEST = 10.0  # standard deviations; numbers further out are moved there
MASKED = -1e9  # the bias of what attention must not see; finite, since an image may be empty
IOU, SCORE = NUMBERS.index('iou_logit'), NUMBERS.index('score_logit')


class RankLogits(NamedTuple):
    """Logits of the refined IoU, ``iou`` (B, N), and of U, ``unique`` (B, N)."""

    iou: Tensor
    unique: Tensor


@MODELS.register_module()
class MSMaskRankHead(BaseModule):
    """Predicts the refined IoU of each detection of an image, and U, its rank among them.

    U is the share of the IoU thresholds at which a detection is the match of its object, and 0 for
    the object's other detections: `Matches.matched_share`, in the order of the paper's mask score.
    Attention layers pass between the detections of an image. What two detections are to each other
    enters as a learned bias. The order of the detections does not matter.

    Before it is fitted, the head returns the MaskIoU head's IoU, and for U its product with the
    class score, the paper's mask score. It computes in float32, also under autocast.

    Shapes: ``B`` images, ``N`` detections of each, ``D`` numbers of a detection (`NUMBERS`), ``P``
    of a pair (`PAIRS`).

    Args:
        channels: width of the attention layers.
        num_layers: attention layers.
        num_heads: attention heads of a layer.
        loss_weight: of U's loss and of the IoU's.
    """

    # Of a model whose masks are soft, as test-time augmentation has them: see `rank_inputs`.
    soft_mask_cut: float | None = None
    mean: Tensor
    std: Tensor
    input_names: Tensor

    def __init__(
        self,
        *,
        channels: int = 64,
        num_layers: int = 2,
        num_heads: int = 4,
        loss_weight: tuple[float, float] = (1.0, 1.0),
    ) -> None:
        super().__init__()
        if num_heads < 1 or channels % num_heads:
            raise ValueError(
                f'MSMaskRankHead: channels={channels} do not divide among num_heads={num_heads}.'
            )
        self.loss_weight = loss_weight
        self.num_heads = num_heads
        self.embed = nn.Linear(len(NUMBERS), channels)
        self.pair_bias = nn.Linear(_num_pair_features(), num_layers * num_heads, bias=False)
        self.layers = nn.ModuleList(_Layer(channels, num_heads) for _ in range(num_layers))
        self.norm = nn.LayerNorm(channels)
        self.out = nn.Linear(channels, 2)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.register_buffer('mean', torch.zeros(len(NUMBERS)))
        self.register_buffer('std', torch.ones(len(NUMBERS)))
        self.register_buffer(INPUT_ENTRY, _encoded(NUMBERS + PAIRS))

    @torch.no_grad()
    def set_statistics(self, numbers: Tensor, valid: Tensor) -> None:
        """Sets the mean and deviation by which the numbers are standardised.

        Args:
            numbers: (B, N, D) of the images that the head is fitted to.
            valid: (B, N) bool, False for padding.
        """
        numbers = numbers[valid].double()
        if not len(numbers):
            raise ValueError('MSMaskRankHead: no detection to take mean and deviation from.')
        std, mean = torch.std_mean(numbers, 0, correction=0)
        self.mean.copy_(mean)
        # A number that never changes tells nothing; where it does change later, not much.
        self.std.copy_(torch.where(std > 1e-4, std, 1.0))

    def forward(self, numbers: Tensor, pairs: Tensor, valid: Tensor) -> RankLogits:
        """Predicts both logits (B, N) of each detection; those of padding mean nothing.

        Args:
            numbers: (B, N, D) as `rank_inputs` gives them; any finite ones for padding.
            pairs: (B, N, N, P), likewise.
            valid: (B, N) bool, False for padding.
        """
        with torch.autocast(numbers.device.type, enabled=False):
            numbers = numbers.float()
            standardised = ((numbers - self.mean) / self.std).clamp(-LARGEST, LARGEST)
            x = self.embed(standardised)
            # (B, N, N, layers * heads) -> layers of (B, heads, N, N)
            bias = self.pair_bias(_pair_features(pairs.float()))
            bias = bias.masked_fill(~valid[:, None, :, None], MASKED).permute(0, 3, 1, 2)
            for layer, of_layer in zip(self.layers, bias.split(self.num_heads, 1)):
                x = layer(x, of_layer)
            change = self.out(self.norm(x))
            iou, score = numbers[..., IOU], numbers[..., SCORE]
            return RankLogits(iou + change[..., 0], _product_logit(iou, score) + change[..., 1])

    def loss(
        self, logits: RankLogits, iou: Tensor, unique: Tensor, counted: Tensor
    ) -> dict[str, Tensor]:
        """Computes the cross-entropy of both predictions, each a mean over what is counted.

        Args:
            logits: of :meth:`forward`.
            iou: (B, N) true IoU.
            unique: (B, N) matched share.
            counted: (B, N) bool, False for padding and for what evaluation ignores.

        Returns:
            ``loss_rank_iou`` and ``loss_rank_unique``, scalars; 0 where nothing is counted.
        """
        weight = counted.float() / counted.sum().clamp(min=1)
        losses = (
            factor * F.binary_cross_entropy_with_logits(of, target.float(), weight, reduction='sum')
            for factor, of, target in zip(self.loss_weight, logits, (iou, unique))
        )
        return dict(zip(('loss_rank_iou', 'loss_rank_unique'), losses))

    def predict(self, numbers: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor]:
        """Predicts the refined IoU (N,) and U (N,), both in [0, 1], of one image's detections.

        Args:
            numbers: (N, D).
            pairs: (N, N, P).
        """
        valid = numbers.new_ones(1, len(numbers), dtype=torch.bool)
        iou, unique = self(numbers[None], pairs[None], valid)
        return iou[0].sigmoid(), unique[0].sigmoid()

    def rescore(
        self, results: InstanceData, mask_probs: Tensor, boxes: Tensor | None = None
    ) -> None:
        """Replaces an image's ``mask_ious`` by the refined ones and ``mask_scores`` by U.

        Args:
            results: N detections with the MaskIoU head's ``mask_ious``.
            mask_probs: (N, M, M) probabilities of the final masks.
            boxes: (N, 4) around the masks; by default those of the results.
        """
        inputs = rank_inputs(results, mask_probs, boxes, self.soft_mask_cut)
        results.mask_ious, results.mask_scores = self.predict(*inputs)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        name, entry = prefix[:-1] or 'the ranking head', state_dict.get(prefix + INPUT_ENTRY)
        if entry is None:
            raise ValueError(
                f'the config asks for {name}, but the checkpoint has no {prefix}{INPUT_ENTRY}. Add '
                'a ranking head with msrcnn fit, or leave mask_rank_head out of the config.'
            )
        given, expected = _decoded(entry), NUMBERS + PAIRS
        if given != expected:
            differing = sorted({*given} ^ {*expected}) or ['their order']
            raise ValueError(
                f'the weights of {name} read other numbers than this version computes. They differ '
                f'in: {", ".join(differing)}. Fit the ranking head again with msrcnn fit.'
            )
        super()._load_from_state_dict(state_dict, prefix, *args)


class _Layer(nn.Module):
    """One layer of attention between the detections of an image, normed before, and an MLP."""

    def __init__(self, channels: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.project = nn.Linear(channels, channels)
        self.mlp = nn.Sequential(
            nn.Linear(channels, 2 * channels), nn.GELU(), nn.Linear(2 * channels, channels)
        )

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Maps (B, N, channels) to the same; ``bias`` (B, heads, N, N) is added to the logits."""
        # (B, N, 3 * channels) -> three of (B, heads, N, channels of a head)
        qkv = self.qkv(self.norm1(x)).unflatten(2, (3, self.num_heads, -1)).transpose(1, 3)
        query, key, value = qkv.unbind(2)
        heads = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        x = x + self.project(heads.transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x))


def _pair_features(pairs: Tensor) -> Tensor:
    """Multiplies what is measured of a pair by what it is: (..., P) -> (..., features).

    The share that a better-scored mask of the same class covers says another thing than the share
    that a worse one covers.
    """
    of = dict(zip(PAIRS, pairs.unbind(-1)))
    one, same, better = torch.ones_like(of['same_class']), of['same_class'], of['better_scored']
    measures = torch.stack([one, of['mask_iou'], of['covered'], of['covering']], -1)
    kinds = torch.stack([one, same, better, same * better], -1)
    # The first, a constant, would shift all logits of a detection alike.
    return (kinds[..., :, None] * measures[..., None, :]).flatten(-2)[..., 1:]


def _num_pair_features() -> int:
    return _pair_features(torch.zeros(len(PAIRS))).numel()


def _product_logit(first: Tensor, second: Tensor) -> Tensor:
    """Computes the logit of the product of two probabilities, given by their logits."""
    log_product = F.logsigmoid(first) + F.logsigmoid(second)
    return log_product - torch.log(-torch.expm1(log_product))


def _encoded(names: tuple[str, ...]) -> Tensor:
    return torch.tensor([*','.join(names).encode()], dtype=torch.uint8)


def _decoded(entry: Tensor) -> tuple[str, ...]:
    return tuple(bytes(entry.tolist()).decode(errors='replace').split(','))
