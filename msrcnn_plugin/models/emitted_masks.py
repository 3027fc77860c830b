"""The masks that any detector emits, each looked at through a box of its own.

Shapes: ``N`` instances of an image, ``H, W`` the masks as emitted, ``M`` side of a RoI grid.
Boxes are (x1, y1, x2, y2) in pixels of the masks.

A detector without RoI heads keeps no probabilities: it cuts them and emits binary masks. Every such
host of mmdet but QueryInst cuts by ``tensor > number``, image by image. So its operators are
observed while it predicts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from weakref import ref

import torch
import torch.nn.functional as F
from mmcv.ops import roi_align
from mmengine.structures import InstanceData
from torch import Tensor
from torch.overrides import TorchFunctionMode

MARGIN = 1.25  # side of the box that is looked at, in sides of the mask's own box
GRID = 28  # as the masks of a Mask R-CNN
SAMPLES = 4  # points along each side of a cell; to read every pixel of a large mask takes long
MASKS_AT_ONCE = 16  # binary masks that are floats at a time
CUTS = (Tensor.gt, torch.gt)
CONVERSIONS = (Tensor.float, Tensor.bool, Tensor.to)


class MaskLooks(NamedTuple):
    """What is seen of an image's masks.

    Attributes:
        boxes: (N, 4) around each mask, enlarged; it may reach beyond the image.
        mask_probs: (N, M, M) probability of the mask on the grid of its box, 0 beyond the image.
    """

    boxes: Tensor
    mask_probs: Tensor


class EmittedMasks(TorchFunctionMode):
    """Remembers, while the block lasts, what each emitted binary mask was cut from.

    The host holds the probabilities of one image at a time, and so does this. They are looked at
    before the next image's are upsampled, and then freed.
    """

    def __init__(self) -> None:
        super().__init__()
        self._looks: list[tuple[ref[Tensor], MaskLooks]] = []
        self._cut: tuple[ref[Tensor], Tensor, float] | None = None

    def __torch_function__(
        self,
        func: Callable,
        types: Iterable[type],
        args: tuple = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func is F.interpolate or func in CUTS:
            self._look()
        result = func(*args, **(kwargs or {}))
        if func in CUTS and _is_cut(args):
            self._cut = ref(result), args[0].detach(), float(args[1])
        elif func in CONVERSIONS and self._cut is not None and args[0] is self._cut[0]():
            self._cut = ref(result), *self._cut[1:]
        return result

    def __exit__(self, *exception: Any) -> None:
        super().__exit__(*exception)
        if exception[0] is None:
            self._look()

    def looks_of(self, results: InstanceData) -> MaskLooks:
        """Gives the looks of an image's predictions: at the binary masks where no cut was seen.

        Raises:
            ValueError: if the instances have no masks, or soft ones.
        """
        count = len(results.scores)
        if not count:  # Some hosts then emit no masks, or such of another type.
            none = results.scores.new_zeros(0, dtype=torch.float32)
            return MaskLooks(none.view(0, 4), none.view(0, GRID, GRID))
        masks = results.get('masks')
        if masks is None:
            raise ValueError(
                f'{count} instances were predicted without masks: mask scoring needs a model that '
                'predicts them.'
            )
        if masks.dtype != torch.bool:
            raise ValueError(
                f'the predicted masks are {masks.dtype}; the mask score is one of binary masks: '
                'set mask_thr_binary of test_cfg to 0 or more, such as 0.5.'
            )
        for emitted, looks in self._looks:
            if emitted() is masks:
                return looks
        return look_at(masks, masks)

    def _look(self) -> None:
        if self._cut is None:
            return
        emitted, source, threshold = self._cut
        self._cut = None
        masks = emitted()
        if masks is None:  # a cut on the way to the emitted masks
            return
        looks = look_at(masks.bool(), source)
        if threshold <= 0:  # logits
            looks = looks._replace(mask_probs=looks.mask_probs.sigmoid())
        self._looks.append((emitted, looks))


def look_at(masks: Tensor, source: Tensor) -> MaskLooks:
    """Looks at masks (N, H, W) bool and their source (N, H, W), probabilities or the masks."""
    boxes = enlarged(mask_boxes(masks))
    rois = F.pad(boxes, (1, 0))
    parts = []
    for some, start in zip(source.split(MASKS_AT_ONCE), range(0, len(masks), MASKS_AT_ONCE)):
        part = rois[start : start + len(some)]
        part[:, 0] = torch.arange(len(some), device=part.device)
        parts.append(roi_align(some[:, None].float(), part, GRID, 1.0, SAMPLES, 'avg', True)[:, 0])
    return MaskLooks(boxes, torch.cat(parts) if parts else boxes.new_zeros(0, GRID, GRID))


def mask_boxes(masks: Tensor) -> Tensor:
    """Computes the box (N, 4) of each of ``masks`` (N, H, W) bool; an empty mask's is pixel 0."""
    sides = []
    pixels = masks.view(torch.uint8)  # of bytes, the largest is found five times as fast
    for marks in (pixels.amax(1), pixels.amax(2)):
        first, last = marks.argmax(1), marks.size(1) - marks.flip(1).argmax(1)
        sides += [first, torch.where(marks.amax(1) > 0, last, 1)]
    x1, x2, y1, y2 = sides
    return torch.stack([x1, y1, x2, y2], 1).float()


def enlarged(boxes: Tensor, margin: float = MARGIN) -> Tensor:
    """Enlarges boxes (N, 4) about their centres."""
    centre, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2 * margin
    return torch.cat([centre - half, centre + half], 1)


def _is_cut(args: tuple) -> bool:
    """Tells whether soft masks (N, H, W) are compared with a number."""
    if len(args) != 2:
        return False
    values, threshold = args
    return (
        isinstance(threshold, (int, float))
        and isinstance(values, Tensor)
        and values.dim() == 3
        and values.is_floating_point()
    )
