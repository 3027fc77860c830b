"""What the host's mask head is given and what it gives, seen while the host runs.

The hosts drop the RoI features (cascades) or the logits (all of them, at prediction) as soon as
they are used. Computing them again would double the cost of the mask branch, and copying the host's
methods to keep them would tie this package to one version of it; so the mask head itself is
observed.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from torch import Tensor, nn


class MaskForward(NamedTuple):
    """One call: ``roi_feats`` (R, C, S, S), ``mask_logits`` (R, K, M, M; K = 1: class-agnostic)."""

    roi_feats: Tensor
    mask_logits: Tensor


def stages(module: nn.Module) -> Sequence[nn.Module]:
    """The modules of a cascade's stages, or the only one."""
    return module if isinstance(module, nn.ModuleList) else [module]


@contextmanager
def observe_mask_head(mask_head: nn.Module) -> Iterator[list[MaskForward]]:
    """Collect, in their order, the calls of ``mask_head``, a head or a ModuleList of stages."""
    forwards: list[MaskForward] = []

    def keep(_, inputs, output):
        # HTC's heads return [logits, feature for the next stage].
        logits = output[0] if isinstance(output, (list, tuple)) else output
        forwards.append(MaskForward(inputs[0], logits))

    handles = [head.register_forward_hook(keep) for head in stages(mask_head)]
    try:
        yield forwards
    finally:
        for handle in handles:
            handle.remove()
