"""COCOeval for masks that counts the mask IoUs once and keeps them for other rankings."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
from mmdet.datasets.api_wrappers import COCOeval
from mmdet.evaluation import CocoMetric

from .matches import Matches, Protocol
from .matching import Masks, match_masks
from .rankings import RankedAP


class SharedIoUEval(COCOeval):
    """Mask evaluation by `Matches`: the host's figures, and a table that any score ranks.

    After `evaluate`, ``matches`` holds the table, with the scores that the host gave as ``host``;
    after `accumulate`, ``ranked`` holds the host's ranking.
    """

    matches: Matches
    ranked: RankedAP

    def evaluate(self) -> None:
        params = self.params
        params.imgIds, params.catIds = (sorted(set(ids)) for ids in (params.imgIds, params.catIds))
        params.maxDets = sorted(params.maxDets)
        self._prepare()
        images, categories = (
            {_plain(identity): number for number, identity in enumerate(ids)}
            for ids in (params.imgIds, params.catIds)
        )
        found = [d for items in self._dts.values() for d in items]
        found.sort(key=lambda detection: detection['id'])  # as listed: COCO numbers them so
        names = {c['id']: c['name'] for c in self.cocoGt.loadCats(list(categories))}
        boxes = np.array([d['bbox'] for d in found], dtype=float).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        self.matches = match_masks(
            _masks(found, images, categories),
            _masks([g for items in self._gts.values() for g in items], images, categories),
            image_ids=list(images),
            categories={identity: names[identity] for identity in categories},
            scores={'host': np.array([d['score'] for d in found], dtype=float)},
            box=boxes,
            protocol=Protocol(
                iou_thresholds=np.asarray(params.iouThrs, dtype=float),
                recall_thresholds=np.asarray(params.recThrs, dtype=float),
                area_names=tuple(params.areaRngLbl),
                area_ranges=np.array(params.areaRng, dtype=float),
                max_dets=tuple(params.maxDets),
            ),
        )

    def accumulate(self, p: Any = None) -> None:
        """Writes what COCO's figures are read from; the detections must rank by finite scores."""
        self.ranked = self.matches.rank('host')
        self.eval = {
            'params': self.params,
            'counts': self.ranked.precision.shape,
            'precision': self.ranked.precision,
            'recall': self.ranked.recall,
        }


def _plain(identity: Any) -> Any:
    return identity.item() if isinstance(identity, np.generic) else identity


def _masks(items: list[Mapping], images: Mapping, categories: Mapping) -> Masks:
    return Masks(
        rles=[item['segmentation'] for item in items],
        image=np.array([images[item['image_id']] for item in items], dtype=np.int64),
        category=np.array([categories[item['category_id']] for item in items], dtype=np.int64),
        area=np.array([item['area'] for item in items], dtype=float),
        crowd=np.array([item.get('iscrowd', 0) for item in items], dtype=bool),
        id_is_zero=np.array([item['id'] == 0 for item in items], dtype=bool),
    )


@contextmanager
def recorded_evaluations() -> Iterator[list[COCOeval]]:
    """Within it CocoMetric evaluates masks through `SharedIoUEval`; yields all its evaluators.

    CocoMetric builds its evaluator by a name in its own module and does not expose it, so that name
    is patched during the call.
    """
    module, made = sys.modules[CocoMetric.__module__], []

    def recording(stock: type[COCOeval]) -> Callable[..., COCOeval]:
        def evaluator(coco_gt: Any, coco_dt: Any, iou_type: str) -> COCOeval:
            made.append(
                (SharedIoUEval if iou_type == 'segm' else stock)(coco_gt, coco_dt, iou_type)
            )
            return made[-1]

        return evaluator

    with ExitStack() as patches:
        for name in ('COCOeval', 'COCOevalMP'):
            if hasattr(module, name):
                stock = getattr(module, name)
                patches.enter_context(patch.object(module, name, recording(stock)))
        yield made
