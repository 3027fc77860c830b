"""Small COCO sets with predictions, and pycocotools' own answer for them."""

import copy

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from pycocotools import mask as mask_utils
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from msrcnn_plugin.evaluation import evaluate_coco

HEIGHT, WIDTH = 120, 160
CLASSES = ('cat', 'dog', 'cow')


def rectangle(x, y, width, height, size=(HEIGHT, WIDTH)):
    """Run-length encoding of a rectangle of whole pixels, cut at the border."""
    mask = np.zeros(size, dtype=np.uint8, order='F')
    mask[y : y + height, x : x + width] = 1
    rle = mask_utils.encode(mask)
    return {**rle, 'counts': rle['counts'].decode()}


def data_set(images=(), annotations=(), classes=CLASSES):
    """COCO's dict; an annotation is (image, category, rle[, crowd])."""
    return {
        'images': [
            {'id': image, 'height': HEIGHT, 'width': WIDTH, 'file_name': f'{image}.jpg'}
            for image in images
        ],
        'categories': [{'id': index + 1, 'name': name} for index, name in enumerate(classes)],
        'annotations': [annotation(index + 1, *values) for index, values in enumerate(annotations)],
    }


def annotation(identity, image, category, rle, crowd=0):
    return {
        'id': identity,
        'image_id': image,
        'category_id': category,
        'segmentation': dict(rle),
        'area': float(mask_utils.area(rle)),
        'bbox': mask_utils.toBbox(rle).tolist(),
        'iscrowd': crowd,
    }


def random_rectangle(rng):
    width, height = np.exp(rng.uniform(np.log(8), np.log(HEIGHT), 2)).astype(int)
    x, y = rng.integers(0, WIDTH - width), rng.integers(0, HEIGHT - height + 1)
    return [int(value) for value in (x, y, width, height)]


def random_set(seed, images=3, truths=4, detections=12, classes=2, crowd=0.2):
    """A data set and COCO results for it: shifted copies of the truths, and noise.

    Counts are upper bounds for an image. The scores have two digits, so that many are equal.
    """
    rng = np.random.default_rng(seed)
    annotations, results = [], []
    for image in range(1, images + 1):
        boxes = [random_rectangle(rng) for _ in range(rng.integers(0, truths + 1))]
        for box in boxes:
            category, is_crowd = int(rng.integers(1, classes + 1)), int(rng.random() < crowd)
            annotations.append((image, category, rectangle(*box), is_crowd))
        for _ in range(rng.integers(0, detections + 1)):
            box = random_rectangle(rng)
            if boxes and rng.random() < 0.8:
                box = [
                    max(1, v + int(rng.integers(-3, 4))) for v in boxes[rng.integers(len(boxes))]
                ]
            results.append(
                {
                    'image_id': image,
                    'category_id': int(rng.integers(1, classes + 1)),
                    'segmentation': rectangle(*box),
                    'score': round(float(rng.random()), 1),
                }
            )
    return data_set(range(1, images + 1), annotations, CLASSES[:classes]), results


def api(data):
    """pycocotools' object over a copy of the dict."""
    coco = COCO()
    coco.dataset = copy.deepcopy(data)
    coco.createIndex()
    return coco


def evaluated(data, results, scores=None, max_dets=(100, 300, 1000), evaluator=COCOeval):
    """pycocotools' evaluation of the masks, ranked by ``scores`` where they are given."""
    results = copy.deepcopy(results)
    for index, score in enumerate(() if scores is None else scores):
        results[index]['score'] = float(score)
    truth = api(data)
    found = truth.loadRes(results) if results else api({**data, 'annotations': []})
    evaluation = evaluator(truth, found, 'segm')
    evaluation.params.maxDets = list(max_dets)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation


def fields_of(results, seed=0, predicts_iou=True):
    """What a model would add to COCO results: float32 scores, IoUs and their product."""
    rng = np.random.default_rng(seed)
    scores = rng.random(len(results), dtype=np.float32).round(2)
    if not predicts_iou:
        return {'scores': scores}
    ious = rng.random(len(results), dtype=np.float32).round(2)
    return {'scores': scores, 'mask_ious': ious, 'mask_scores': scores * ious}


def samples(data, results, fields):
    """One `DetDataSample` an image, as a model returns them; ``fields`` name -> (N,)."""
    for image in data['images']:
        index = [i for i, result in enumerate(results) if result['image_id'] == image['id']]
        masks = [mask_utils.decode(results[i]['segmentation']) for i in index]
        shape = (image['height'], image['width'])
        boxes = [mask_utils.toBbox(results[i]['segmentation']) for i in index]
        boxes = np.array(boxes, dtype=np.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        labels = [results[i]['category_id'] - 1 for i in index]
        sample = DetDataSample(metainfo={'img_id': image['id'], 'ori_shape': shape})
        sample.pred_instances = InstanceData(
            bboxes=torch.from_numpy(boxes),
            labels=torch.tensor(labels, dtype=torch.long),
            masks=torch.from_numpy(np.array(masks, dtype=bool).reshape(-1, *shape)),
            **{name: torch.from_numpy(values[index]) for name, values in fields.items()},
        )
        yield sample


def matches_of(data, results, max_dets=(100, 300, 1000)):
    """The table of COCO results; every score is 0.5."""
    results = [dict(result, score=0.5) for result in results]
    return evaluate_coco(data, results, max_dets=max_dets).matches


def two_masks_one_object(images=(1,)):
    """In each image a poor mask, IoU 0.6, and then a perfect one of the same object."""
    data = data_set(images, [(image, 1, rectangle(0, 0, 40, 40)) for image in images])
    results = [
        dict(image_id=image, category_id=1, segmentation=rectangle(0, 0, 40, height), score=0.5)
        for image in images
        for height in (24, 40)
    ]
    return matches_of(data, results)
