"""What AP of the same masks under any further ranking needs to know, as arrays that a file keeps.

Shapes: ``N`` detections, ``G`` ground truths, ``P`` pairs of them that COCO's rule could match,
``I`` IoU thresholds, ``R`` recall thresholds, ``A`` object sizes, ``M`` limits on the detections.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from pycocotools.cocoeval import Params

from .matching import Overlaps


@dataclass(frozen=True)
class RankingBasis:
    """How the detections meet the ground truth, and the protocol they are evaluated by.

    With 5000 images of 100 detections it takes some 20 MB, the masks it stands for several GB.
    """

    place: NDArray[np.int64]  # (N,) place in the model's order of each detection in COCO's order
    group: NDArray[np.int64]  # (N,) category of an image, in COCO's order, ascending
    truth_area: NDArray[np.float64]  # (G,) as annotated, pixels
    truth_category: NDArray[np.int64]  # (G,) index into the sorted category ids
    truth_crowd: NDArray[np.bool_]  # (G,)
    truth_id_is_zero: NDArray[np.bool_]  # (G,)
    pair_detection: NDArray[np.int64]  # (P,) in COCO's order
    pair_truth: NDArray[np.int64]  # (P,)
    pair_iou: NDArray[np.float64]  # (P,)
    iou_thresholds: NDArray[np.float64]  # (I,)
    recall_thresholds: NDArray[np.float64]  # (R,)
    size_names: NDArray[np.str_]  # (A,) `all` first
    size_ranges: NDArray[np.float64]  # (A, 2) pixels, both ends included
    max_dets: NDArray[np.int64]  # (M,)
    truth_image: NDArray | None = None  # (G,) image ids as annotated; not in older files

    @classmethod
    def of(cls, overlaps: Overlaps, params: Params) -> RankingBasis:
        """From an evaluation's overlaps and parameters."""
        kept = {f.name: getattr(overlaps, f.name) for f in fields(cls) if hasattr(overlaps, f.name)}
        return cls(
            place=overlaps.detection_id - 1,  # COCO numbers the results from 1
            group=overlaps.detection_group,
            iou_thresholds=np.asarray(params.iouThrs, dtype=float),
            recall_thresholds=np.asarray(params.recThrs, dtype=float),
            size_names=np.array(params.areaRngLbl),
            size_ranges=np.array(params.areaRng, dtype=float),
            max_dets=np.array(params.maxDets, dtype=np.int64),
            **kept,
        )

    def params(self, category_ids: NDArray[np.int64]) -> Params:
        """The protocol as pycocotools has it."""
        params = Params(iouType='segm')
        params.catIds = sorted(int(category) for category in category_ids)
        params.iouThrs, params.recThrs = self.iou_thresholds, self.recall_thresholds
        params.areaRngLbl = self.size_names.tolist()
        params.areaRng = self.size_ranges.tolist()
        params.maxDets = self.max_dets.tolist()
        return params

    def overlaps(
        self,
        *,
        category_index: NDArray[np.int64],
        mask_score: NDArray,
        area: NDArray,
        true_iou: NDArray,
    ) -> Overlaps:
        """The overlaps again, with what the detections (N,), in the model's order, carry."""
        kept = {f.name: getattr(self, f.name) for f in fields(Overlaps) if hasattr(self, f.name)}
        return Overlaps(
            detection_id=self.place + 1,
            detection_group=self.group,
            detection_category=category_index[self.place],
            detection_score=mask_score[self.place],
            detection_area=area[self.place],
            true_iou=true_iou[self.place],
            **kept,
        )
