"""Training samples of the MaskIoU head: detections of the last steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import torch
from mmdet.registry import TASK_UTILS
from mmdet.utils import ConfigType
from torch import Tensor

from ..geometry import MaskIoUTarget
from .detected_masks import DetectedMasks


@TASK_UTILS.register_module()
class ReplaySampler:
    """Draws from another sampler's samples of the last steps, in equal parts.

    Detections of one image resemble each other, so those of a step's few images are a poor sample
    of all. Detecting them costs more than learning from them. Samples stay as they were detected:
    with a trunk that learns, the features are some steps old.

    A checkpoint holds none of them: after a resumption they are collected again. The sampler keeps
    RoI features and masks of so many steps' detections, on their device.

    Args:
        sampler: config of what detects, as `DetectionSampler` does.
        steps: kept, with the present one.
        samples: drawn in each step; fewer until so many are there.
    """

    def __init__(self, sampler: ConfigType, *, steps: int = 16, samples: int = 256) -> None:
        if steps < 1 or samples < steps:
            raise ValueError(
                f'ReplaySampler: samples={samples} of steps={steps}; give one step or more, and a '
                'sample or more of each.'
            )
        self.sampler = TASK_UTILS.build(sampler)
        self.steps = steps
        self.samples_of_a_step = samples // steps
        self._detected: deque[DetectedMasks] = deque(maxlen=steps)

    @torch.no_grad()
    def __call__(self, *args: Any) -> DetectedMasks:
        """Samples as the sampler does; nothing while nothing has been detected."""
        found = self.sampler(*args)
        if len(found.labels):
            self._detected.append(found)
        drawn = [self._some_of(detected) for detected in self._detected]
        return _of_each(lambda *tensors: torch.cat(tensors), *drawn) if drawn else found

    def _some_of(self, detected: DetectedMasks) -> DetectedMasks:
        count = len(detected.labels)
        place = torch.randperm(count, device=detected.labels.device)[: self.samples_of_a_step]
        return _of_each(lambda tensor: tensor[place], detected)


def _of_each(function: Callable[..., Tensor], *parts: DetectedMasks) -> DetectedMasks:
    """Applies ``function`` to each tensor, or to the same tensor of each part."""
    return DetectedMasks(
        function(*(part.roi_feats for part in parts)),
        function(*(part.mask_probs for part in parts)),
        function(*(part.labels for part in parts)),
        MaskIoUTarget(*map(function, *(part.target for part in parts))),
    )
