"""COCOeval that keeps what other rankings of the same masks need and drops the rest."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from mmdet.datasets.api_wrappers import COCOeval
from mmdet.evaluation import CocoMetric

from ..progress import progress_bar
from .matching import OverlapCollector, Overlaps, pairwise_mask_iou


class LeanCOCOeval(COCOeval):
    """COCOeval with a progress bar, that frees its per-image matches once they are summed up."""

    def evaluate(self) -> None:
        params = self.params
        steps = len(params.imgIds) * len(params.catIds if params.useCats else [-1])
        with progress_bar(f'Evaluating {params.iouType}', steps * len(params.areaRng)) as counted:
            self.evaluateImg = counted(self.evaluateImg)
            super().evaluate()
        del self.evaluateImg
        self.ious = {}

    def accumulate(self, p: Any = None) -> None:
        super().accumulate(p)
        self.evalImgs = []


class SharedIoUEval(LeanCOCOeval):
    """Mask evaluation whose IoUs serve every ranking: `overlaps` holds them after `evaluate`."""

    overlaps: Overlaps

    def evaluate(self) -> None:
        self._collector = OverlapCollector(float(np.min(self.params.iouThrs)))
        self._category_index = {
            int(category): index for index, category in enumerate(np.unique(self.params.catIds))
        }
        super().evaluate()
        self.overlaps = self._collector.collected()
        del self._collector

    def computeIoU(self, imgId: Any, catId: int) -> Any:  # noqa: N802, N803 (pycocotools' names)
        """As the parent, rows by score and cut at the largest limit; but no IoU is counted twice.

        Another ranking may put any detection among the first, so all of them have to be here.
        """
        detections, truths = self._dts.get((imgId, catId), []), self._gts.get((imgId, catId), [])
        if not detections and not truths:
            return []
        ious = pairwise_mask_iou(
            [detection['segmentation'] for detection in detections],
            [truth['segmentation'] for truth in truths],
            [truth['iscrowd'] for truth in truths],
        )
        self._collector.add(self._category_index[int(catId)], detections, truths, ious)
        order = np.argsort([-detection['score'] for detection in detections], kind='mergesort')
        return ious[order[: self.params.maxDets[-1]]] if ious.size else []


@contextmanager
def recorded_evaluations() -> Iterator[list[COCOeval]]:
    """Within it CocoMetric evaluates masks through `SharedIoUEval`; yields all its evaluators.

    CocoMetric builds its evaluator by a name in its own module and hands it to nobody, so that name
    is what has to be lent for the time of the call.
    """
    module, made = sys.modules[CocoMetric.__module__], []

    def make(stock: type[COCOeval]) -> Any:
        def evaluator(coco_gt: Any, coco_dt: Any, iou_type: str) -> COCOeval:
            lean = LeanCOCOeval if stock is COCOeval else stock
            made.append((SharedIoUEval if iou_type == 'segm' else lean)(coco_gt, coco_dt, iou_type))
            return made[-1]

        return evaluator

    names = [name for name in ('COCOeval', 'COCOevalMP') if hasattr(module, name)]
    stocks = {name: getattr(module, name) for name in names}
    try:
        for name, stock in stocks.items():
            setattr(module, name, make(stock))
        yield made
    finally:
        for name, stock in stocks.items():
            setattr(module, name, stock)
