"""What the host's mask head is given and what it gives, seen while the host runs.

The hosts drop the RoI features (cascades) or the logits (all of them, at prediction) as soon as they are
used. Computing them again would double the cost of the mask branch, and copying the host's methods to keep
them would tie this package to one version of it; so the mask head itself is observed.
"""

from contextlib import contextmanager
from typing import Iterator, List, NamedTuple

from torch import Tensor, nn


class MaskForward(NamedTuple):
    """One call of a mask head: ``roi_feats`` (R, C, S, S) and ``mask_logits`` (R, K, M, M; K = 1: class-agnostic)."""

    roi_feats: Tensor
    mask_logits: Tensor


@contextmanager
def observe_mask_head(mask_head: nn.Module) -> Iterator[List[MaskForward]]:
    """Collect the calls of ``mask_head``, a head or a ModuleList with one head a stage, in their order."""
    forwards: List[MaskForward] = []

    def keep(_, inputs, output):
        # HTC's heads return [logits, feature for the next stage].
        logits = output[0] if isinstance(output, (list, tuple)) else output
        forwards.append(MaskForward(inputs[0], logits))

    heads = mask_head if isinstance(mask_head, nn.ModuleList) else [mask_head]
    handles = [head.register_forward_hook(keep) for head in heads]
    try:
        yield forwards
    finally:
        for handle in handles:
            handle.remove()
