"""What a model with mask scoring does with a predicted IoU, in a RoI head and in a detector alike.

MaskIoU head's IoU -> ranking head, if there is one -> calibration, if there is one.

``msrcnn fit`` adds ranking head and calibration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmdet.registry import MODELS
from mmdet.utils import OptConfigType
from mmengine.structures import InstanceData
from torch import Tensor

from .mask_iou_calibration import CALIBRATION_NAME
from .mask_rank_head import RANK_NAME

if TYPE_CHECKING:
    from mmengine.model import BaseModule as Host
else:
    Host = object


class FittedScores(Host):
    """The base of both mixins for mask scoring. It adds no weight where nothing is fitted."""

    mask_rank_head: Any
    mask_iou_calibration: Any

    def build_fitted(
        self, mask_rank_head: OptConfigType, mask_iou_calibration: OptConfigType
    ) -> None:
        """Builds the fitted parts of a config.

        Raises:
            ValueError: a calibration with ``rerank`` beside a ranking head.
        """
        self.mask_iou_calibration = mask_iou_calibration and MODELS.build(mask_iou_calibration)
        self.mask_rank_head = mask_rank_head and MODELS.build(mask_rank_head)
        if self.mask_rank_head is not None:
            # No loss of the model reaches it. DDP would wait for its gradient.
            self.mask_rank_head.requires_grad_(False)
            if getattr(self.mask_iou_calibration, 'rerank', False):
                raise ValueError(
                    'mask_iou_calibration has rerank=True, but with mask_rank_head the mask scores '
                    'are no product with the IoU: leave rerank out.'
                )

    def score_instances(
        self,
        results: InstanceData,
        mask_ious: Tensor,
        mask_probs: Tensor,
        boxes: Tensor | None = None,
    ) -> None:
        """Writes the scores into an image's N instances: s_mask = s · s_iou (paper, section 3.2).

        Args:
            results: the host's.
            mask_ious: (N,) of the MaskIoU head.
            mask_probs: (N, M, M) probability of the masks.
            boxes: (N, 4) around the masks, in their pixels; by default those of the results.
        """
        results.mask_ious = mask_ious
        results.mask_scores = results.scores * mask_ious
        if self.mask_rank_head is not None:
            self.mask_rank_head.rescore(results, mask_probs, boxes)
        if self.mask_iou_calibration is not None:
            self.mask_iou_calibration.rescore(results)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        without_rank_head = self.mask_rank_head is None
        ranked = any(key.startswith(f'{prefix}{RANK_NAME}.') for key in state_dict)
        if without_rank_head and ranked and self.mask_iou_calibration is not None:
            raise ValueError(
                'the checkpoint has a ranking head, and its calibration maps the IoU of that head: '
                'leave mask_iou_calibration out of the config too, or add mask_rank_head.'
            )
        # A model without calibration or ranking head ignores the checkpoint's.
        ignored = [CALIBRATION_NAME] * (self.mask_iou_calibration is None)
        ignored += [f'{RANK_NAME}.'] * without_rank_head
        for key in list(state_dict):
            if key.startswith(tuple(prefix + name for name in ignored)):
                del state_dict[key]
        super()._load_from_state_dict(state_dict, prefix, *args)
