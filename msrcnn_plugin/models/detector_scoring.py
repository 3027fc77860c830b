"""The mixin that gives a detector without RoI heads its mask score (paper, section 3.2).

Such a detector has features, masks and no RoIs. The mask's own box, enlarged, takes their place:

Prediction: host's prediction -> boxes of its masks -> features and masks there -> MaskIoU head.
Training:   the same of the detections in the training images -> loss_mask_iou.

The host's own results are those it would give without the mixin.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.structures import SampleList
from mmdet.structures.bbox import bbox2roi
from mmdet.utils import ConfigType, OptConfigType
from torch import Tensor
from torch.nn.modules.utils import _pair

from .detected_masks import evaluating
from .detector_samples import DetectorSampler
from .emitted_masks import MARGIN, EmittedMasks, MaskLooks, enlarged
from .fitted_scores import FittedScores
from .mask_scoring import MaskScoringMixin, with_host_sizes

ROI_FEAT_SIZE = 14
PROBE = 256  # side of the image that tells channels and strides; large enough for a stride of 128


class Detected(NamedTuple):
    """What the host predicts for a batch, and what the MaskIoU head will see of it.

    Attributes:
        samples: the host's.
        levels: of the scoring feature, (B, C, h, w) each.
        looks: of each image, in pixels of its masks.
        boxes: of each image (N, 4), the looks' boxes in input pixels.
    """

    samples: SampleList
    levels: Sequence[Tensor]
    looks: Sequence[MaskLooks]
    boxes: Sequence[Tensor]


class DetectorMaskScoringMixin(FittedScores):
    """Adds a mask score to an instance segmentation model that has no RoI head with masks.

    Put it before the detector::

        @MODELS.register_module()
        class MyScoringDetector(DetectorMaskScoringMixin, MyDetector):
            pass

    and name it in the config, ``model=dict(type='MyScoringDetector', mask_iou_head=dict(
    type='MSMaskIoUHead'))``. The detector's ``predict`` gives ``pred_instances`` with binary
    ``masks`` of the original image's size. Names of weights stay, so its checkpoints load.

    Predictions gain ``mask_ious`` (N,) in [0, 1] and ``mask_scores`` (N,), the product of the
    host's score and the mask IoU; also for no instances.

    Args:
        mask_iou_head: config of the MaskIoU head; its ``in_channels`` and ``num_classes`` are the
            host's and need not be given. It also learns from masks that miss their object, unless
            ``count_zero_targets`` says otherwise.
        mask_iou_sampler: what it learns from; by default all that the model detects.
        mask_iou_calibration: config of a :class:`MaskIoUCalibration`, for a calibrated checkpoint.
        mask_rank_head: config of a :class:`MSMaskRankHead`, for a checkpoint of ``msrcnn fit``. It
            is not trained with the model.
        scoring_levels: which levels of the scoring feature are seen; by default all of them. They
            have the same number of channels.
    """

    # Whether ``loss`` gives the MaskIoU head's loss alone.
    only_mask_iou_loss = False
    # The submodule whose output is the scoring feature; None for ``extract_feat``.
    scoring_feature: str | None = None

    def __init__(
        self,
        *args: Any,
        mask_iou_head: ConfigType,
        mask_iou_sampler: OptConfigType = None,
        mask_iou_calibration: OptConfigType = None,
        mask_rank_head: OptConfigType = None,
        scoring_levels: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        if isinstance(getattr(self, 'roi_head', None), MaskScoringMixin):
            raise ValueError(
                f'{type(self).__name__} and its {type(self.roi_head).__name__} would both score '
                "the masks: use mmdet's own detector with the one, or mmdet's own RoI head."
            )
        problem = self.mask_problem()
        if problem:
            raise ValueError(f'{type(self).__name__} scores masks, but {problem}.')
        channels, strides = self._chosen_levels(scoring_levels)
        size = _pair(mask_iou_head.get('roi_feat_size', ROI_FEAT_SIZE))
        self.mask_iou_extractor = MODELS.build(
            dict(
                type='SingleRoIExtractor',
                roi_layer=dict(type='RoIAlign', output_size=size, sampling_ratio=0),
                out_channels=channels,
                featmap_strides=strides,
                # On the finest level a cell of a RoI has one pixel to two.
                finest_scale=max(size) * strides[0],
            )
        )
        sizes = dict(in_channels=channels, roi_feat_size=size, num_classes=self.scored_classes())
        head = {'count_zero_targets': True, **mask_iou_head}
        self.mask_iou_head = MODELS.build(with_host_sizes(head, sizes))
        sampler = mask_iou_sampler or dict(type='DetectorSampler')
        self.mask_iou_sampler = TASK_UTILS.build(sampler)
        used = getattr(self.mask_iou_sampler, 'sampler', self.mask_iou_sampler)
        if not isinstance(used, DetectorSampler):
            raise ValueError(
                f'mask_iou_sampler is a {type(used).__name__}; a detector without RoI heads takes '
                "dict(type='DetectorSampler'), or a ReplaySampler of it."
            )
        self.build_fitted(mask_rank_head, mask_iou_calibration)

    def mask_problem(self) -> str | None:
        """Says why the host emits no masks, or None; an own detector may know better."""
        return None if self.with_mask else 'the model has no mask head'

    def scored_classes(self) -> int | None:
        """Finds the number of classes of the host's instances."""
        for name in ('bbox_head', 'mask_head'):
            found = getattr(getattr(self, name, None), 'num_classes', None)
            if found is not None:
                return int(found)
        return None

    def feature_levels(self) -> list[tuple[int, int]]:
        """Finds channels and stride of each level of the scoring feature."""
        # The first convolution tells the channels of an image.
        weight = next(weight for weight in self.backbone.parameters() if weight.dim() == 4)
        image = weight.new_zeros(1, weight.size(1), PROBE, PROBE)
        with torch.no_grad(), evaluating(self):
            levels = _levels(self.extract_feat(image))
        return [(level.size(1), round(PROBE / level.size(3))) for level in levels]

    def loss(self, batch_inputs: Tensor, batch_data_samples: SampleList, **kwargs: Any) -> dict:
        """Computes the host's losses, and ``loss_mask_iou`` among them."""
        # First: the losses of some hosts change the ground truth.
        samples = self.mask_iou_sampler(self, batch_inputs, batch_data_samples)
        mask_ious = self.mask_iou_head(samples.roi_feats, samples.mask_probs)
        loss: dict = self.mask_iou_head.loss(mask_ious, samples.labels, samples.target)
        if self.only_mask_iou_loss:
            return loss
        return {**super().loss(batch_inputs, batch_data_samples, **kwargs), **loss}

    def predict(
        self,
        batch_inputs: Tensor,
        batch_data_samples: SampleList,
        rescale: bool = True,
        **kwargs: Any,
    ) -> SampleList:
        """Gives the host's prediction, in its order, with ``mask_ious`` and ``mask_scores``."""
        if not rescale:
            # The hosts do not agree in which frame the masks then are.
            raise ValueError(
                f'{type(self).__name__} scores masks of the original image: predict with '
                'rescale=True.'
            )
        found = self.detect(batch_inputs, batch_data_samples, **kwargs)
        results_list = [sample.pred_instances for sample in found.samples]
        counts = [len(boxes) for boxes in found.boxes]
        mask_ious = self.mask_iou_head.predict(
            self.roi_feats(found.levels, found.boxes),
            torch.cat([looks.mask_probs for looks in found.looks]),
            torch.cat([results.labels.long() for results in results_list]),
        )
        for results, ious, looks in zip(results_list, mask_ious.split(counts), found.looks):
            boxes = enlarged(looks.boxes, 1 / MARGIN)
            self.score_instances(results, ious, looks.mask_probs, boxes)
        return found.samples

    def detect(
        self, batch_inputs: Tensor, batch_data_samples: SampleList, **kwargs: Any
    ) -> Detected:
        """Predicts as the host does, and looks at its masks."""
        with self._observe_feature() as seen, EmittedMasks() as emitted:
            samples = super().predict(batch_inputs, batch_data_samples, rescale=True, **kwargs)
        looks = []
        for sample in samples:
            if 'pred_instances' not in sample:
                raise ValueError(
                    f'{type(self).__name__} predicted no instances: mask scoring needs instance '
                    'segmentation, not the semantic or panoptic mode.'
                )
            looks.append(emitted.looks_of(sample.pred_instances))
        boxes = [_in_input(*pair) for pair in zip(looks, samples)]
        levels = [_levels(seen[-1])[i] for i in self._levels_seen]
        return Detected(samples, levels, looks, boxes)

    def roi_feats(self, levels: Sequence[Tensor], boxes: Sequence[Tensor]) -> Tensor:
        """Aligns the feature to the boxes (N, 4) in input pixels of each image: (R, C, S, S)."""
        # mmcv's operator takes float32 alone on the CPU, whatever autocast made of the feature.
        feats: Tensor = self.mask_iou_extractor(
            [level.float() for level in levels], bbox2roi(list(boxes))
        )
        return feats

    def _chosen_levels(self, chosen: Sequence[int] | None) -> tuple[int, list[int]]:
        """Finds the channels and strides of the levels that are seen, and checks them."""
        levels = self.feature_levels()
        self._levels_seen = list(range(len(levels)) if chosen is None else chosen)
        missing = [i for i in self._levels_seen if not 0 <= i < len(levels)]
        if missing or not self._levels_seen:
            raise ValueError(
                f'scoring_levels={self._levels_seen}, but the scoring feature has the levels 0 to '
                f'{len(levels) - 1}: name one or more of these.'
            )
        channels, strides = zip(*(levels[i] for i in self._levels_seen))
        if len(set(channels)) > 1 or list(strides) != sorted(strides):
            raise ValueError(
                f'the levels {self._levels_seen} of the scoring feature have {list(channels)} '
                f'channels and strides {list(strides)}: choose some of the same channels, finest '
                'first, such as scoring_levels=[0].'
            )
        return channels[0], list(strides)

    @contextmanager
    def _observe_feature(self) -> Iterator[list[Any]]:
        """Collects what the scoring feature's module gives; the last is that of the prediction."""
        seen: list[Any] = []
        if self.scoring_feature is not None:
            module = self.get_submodule(self.scoring_feature)
            handle = module.register_forward_hook(lambda *call: seen.append(call[2]))
            try:
                yield seen
            finally:
                handle.remove()
            return
        extract_feat = self.extract_feat

        def keep(*args: Any, **kwargs: Any) -> Any:
            seen.append(extract_feat(*args, **kwargs))
            return seen[-1]

        with patch.object(self, 'extract_feat', keep):
            yield seen


def _levels(feature: Any) -> list[Tensor]:
    """Lists the levels of a feature: a tensor, or those that a sequence begins with."""
    if isinstance(feature, Tensor):
        return [feature]
    levels = []
    for level in feature:
        if not isinstance(level, Tensor):
            break
        levels.append(level)
    return levels


def _in_input(looks: MaskLooks, sample: Any) -> Tensor:
    """Moves an image's boxes (N, 4) from pixels of its masks to those of the input."""
    if not len(looks.boxes):
        return looks.boxes
    height, width = sample.pred_instances.masks.shape[1:]
    input_height, input_width = sample.img_shape[:2]
    scale = looks.boxes.new_tensor([input_width / width, input_height / height])
    return looks.boxes * scale.repeat(2)
