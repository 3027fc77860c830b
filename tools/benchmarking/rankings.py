"""What the metric's four rankings cost against mmdet's CocoMetric on the same results.

A result set like that of a detector on COCO: each object is found a few times, better or worse,
under its own class or another, and the rest of the detections find nothing.
"""

import contextlib
import io
import math
from dataclasses import dataclass

import numpy as np
from mmdet.datasets.api_wrappers import COCO
from mmdet.evaluation import CocoMetric
from mmengine.logging import MMLogger
from pycocotools import mask as rle_tools

from msrcnn_plugin.evaluation import MaskScoringMetric
from tools.benchmarking.scene import NUM_CLASSES, SHORT_SIDE, blob, object_areas, place

DETECTIONS = 100  # of an image, COCO's limit
FOUND_TIMES = 3  # detections of an object
SHIFT = 0.08  # of a detection, standard deviation in square roots of the object's area
FALSE_AREAS = (8**2, 32**2, 96**2)  # of detections that find nothing, pixels
OWN_CLASS = 0.8  # share of an object's detections that have its class


@dataclass(frozen=True, eq=False)
class ResultSet:
    """Ground truth and detections, both as pycocotools reads them.

    Attributes:
        truth, found: COCO's objects; ``found`` is ranked by mask score.
        class_scores, mask_ious: (N,) in the order of the detections' ids, image by image.
    """

    truth: COCO
    found: COCO
    class_scores: np.ndarray
    mask_ious: np.ndarray

    def results(self):
        """What a metric keeps of each image: its ground truth, which is not read, and a prediction.

        Made afresh, since a metric changes it.
        """
        fields = dict(
            scores=self.class_scores,
            mask_ious=self.mask_ious,
            mask_scores=self.class_scores * self.mask_ious,
        )
        results = []
        for image in self.truth.getImgIds():
            found = self.found.imgToAnns[image]
            place = np.array([detection['id'] - 1 for detection in found], dtype=int)
            prediction = dict(
                img_id=image,
                labels=np.array([detection['category_id'] - 1 for detection in found]),
                bboxes=np.array([_corners(detection['bbox']) for detection in found]),
                masks=[dict(detection['segmentation']) for detection in found],
                **{name: values[place] for name, values in fields.items()},
            )
            results.append(({}, prediction))
        return results


def make_result_set(image_size, objects, images, detections=DETECTIONS, seed=0):
    """``images`` images of ``image_size`` (H, W) with ``objects`` objects and ``detections`` masks
    each. The same arguments give the same set.
    """
    rng = np.random.default_rng(seed)
    scale = SHORT_SIDE / min(image_size)
    size = tuple(round(side * scale) for side in image_size)  # of COCO's own images
    areas = object_areas(images * objects, size, rng).reshape(images, objects)
    truths, found = [], []
    for image, row in enumerate(areas, start=1):
        outlines = [place([blob(area, rng)], size, rng)[0] for area in row]
        classes = rng.integers(0, NUM_CLASSES, objects)
        truths += [_entry(image, c, o, size) for c, o in zip(classes, outlines)]
        found += _detections(image, outlines, classes, detections, size, rng)
    for number, truth in enumerate(truths, start=1):
        truth.update(id=number, iscrowd=0)
    scores = rng.random((2, len(found)))
    for result, score in zip(found, scores.prod(0)):
        result['score'] = float(score)
    with quiet():
        truth = _coco(truths, images, size)
        return ResultSet(truth, truth.loadRes(found), *scores)


def _detections(image, outlines, classes, count, size, rng):
    results = []
    for number in range(count):
        source = number % len(outlines)
        if number < FOUND_TIMES * len(outlines):
            outline = outlines[source]
            spread = SHIFT * math.sqrt(np.ptp(outline[::2]) * np.ptp(outline[1::2]))
            outline = outline + np.tile(rng.normal(0, spread, 2), len(outline) // 2)
        else:
            outline = place([blob(rng.choice(FALSE_AREAS), rng)], size, rng)[0]
        own = number < FOUND_TIMES * len(outlines) and rng.random() < OWN_CLASS
        label = classes[source] if own else rng.integers(0, NUM_CLASSES)
        results.append(_entry(image, label, outline, size))
    return results


def _corners(box):
    x, y, width, height = box
    return x, y, x + width, y + height


def _entry(image, label, outline, size):
    rle = rle_tools.frPyObjects([outline.astype(float).tolist()], *size)[0]
    box = rle_tools.toBbox(rle).tolist()
    return dict(
        image_id=image,
        category_id=int(label) + 1,
        segmentation=rle,
        bbox=box,
        area=float(rle_tools.area(rle)),
    )


def _coco(annotations, images, size):
    coco = COCO()
    coco.dataset = dict(
        images=[dict(id=i + 1, height=size[0], width=size[1]) for i in range(images)],
        categories=[dict(id=i + 1, name=str(i + 1)) for i in range(NUM_CLASSES)],
        annotations=annotations,
    )
    coco.createIndex()
    return coco


@contextlib.contextmanager
def quiet():
    """pycocotools prints, the metrics log."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel('WARNING')
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)


class OneEvaluation:
    """mmdet's metric: the masks under one ranking."""

    metric = CocoMetric

    def inputs(self, result_set):
        metric = self.metric(metric='segm')
        # As if read from an annotation file, which is not what is timed.
        metric._coco_api = result_set.truth
        metric.dataset_meta = dict(classes=[str(i + 1) for i in range(NUM_CLASSES)])
        return metric, result_set.results()

    def run(self, metric, results):
        with quiet():
            return metric.compute_metrics(results)


class FourRankings(OneEvaluation):
    """The plugin's: the same evaluation, and the masks ranked by the three other scores."""

    metric = MaskScoringMetric
