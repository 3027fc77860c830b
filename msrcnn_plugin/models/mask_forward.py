"""What the host's mask head is given and what it gives, seen while the host runs.

The hosts drop the RoI features (cascades) or the logits (all of them, at prediction) as soon as
they are used. Computing them again would double the cost of the mask branch, and copying the host's
methods to keep them would tie this package to one version of it; so the mask head itself is
observed.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from inspect import signature
from typing import Any, Callable, NamedTuple

from torch import Tensor, nn

from ..geometry import choose_class


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


@contextmanager
def observe_emitted_masks(mask_head: nn.Module) -> Iterator[list[Tensor]]:
    """Collect, image by image, (N, M, M) probabilities of the masks that the host pastes.

    A cascade has merged its stages by then, and PointRend has refined them: what comes out of the
    mask head is not always what is emitted.
    """
    head = stages(mask_head)[-1]
    predict_by_feat = head.predict_by_feat
    emitted: list[Tensor] = []

    @wraps(predict_by_feat)
    def keep(*args, **kwargs):
        given = arguments(predict_by_feat, *args, **kwargs)
        for masks, results in zip(given['mask_preds'], given['results_list']):
            masks = choose_class(masks, results.labels)
            # Merged masks are probabilities already.
            emitted.append(masks if given['activate_map'] else masks.sigmoid())
        return predict_by_feat(*args, **kwargs)

    outer = vars(head).get('predict_by_feat')  # of whoever observes already
    head.predict_by_feat = keep
    try:
        yield emitted
    finally:
        del head.predict_by_feat
        if outer is not None:
            head.predict_by_feat = outer


def arguments(function: Callable, *args, **kwargs) -> dict[str, Any]:
    """What ``function`` would be given, by name: the hosts differ in the order."""
    bound = signature(function).bind(*args, **kwargs)
    bound.apply_defaults()
    return bound.arguments
