"""Learning again from what was detected in the steps before."""

from collections import deque
from typing import Callable

import torch
from mmdet.registry import TASK_UTILS
from mmdet.utils import ConfigType
from torch import Tensor

from ..geometry import MaskIoUTarget
from .detected_masks import DetectedMasks
from .mask_forward import MaskForward


@TASK_UTILS.register_module()
class ReplaySampler:
    """Another sampler's samples, those of the last steps in equal parts.

    Detections of one image resemble each other, so that those of a step's few images are a poor
    sample of all; and each costs more to detect than to learn from. What was detected stays as it
    was then: with a trunk that learns, the features are some steps old.

    Nothing of it is in a checkpoint: after a resumption it fills anew. It keeps RoI features, masks
    and logits of so many steps' detections, on their device.
    `MSFineFeatureRoIHead`, which extracts features from the pyramid anew, cannot learn from it.

    Args:
        sampler: config of what detects, as `DetectionSampler` does.
        steps: kept, with the present one.
        samples: of them all for each step, fewer until so many are there.
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
    def __call__(self, *args) -> DetectedMasks:
        """As that of the sampler; nothing while nothing has been detected."""
        found = self.sampler(*args)
        if len(found.labels):
            self._detected.append(found)
        drawn = [self._some_of(detected) for detected in self._detected]
        return _together(drawn) if drawn else found

    def _some_of(self, detected: DetectedMasks) -> DetectedMasks:
        count = len(detected.labels)
        place = torch.randperm(count, device=detected.labels.device)[: self.samples_of_a_step]
        return _of_each(lambda tensor: tensor[place], detected)


def _together(parts: list[DetectedMasks]) -> DetectedMasks:
    return _of_each(lambda *tensors: torch.cat(tensors), *parts)


def _of_each(function: Callable[..., Tensor], *parts: DetectedMasks) -> DetectedMasks:
    """``function`` of each tensor, or of the same tensor of each part."""
    forwards = zip(*(part.forwards for part in parts))
    return DetectedMasks(
        [MaskForward(*map(function, *same)) for same in forwards],
        function(*(part.mask_probs for part in parts)),
        function(*(part.labels for part in parts)),
        MaskIoUTarget(*map(function, *(part.target for part in parts))),
    )
