"""Compares an exported model with its host on a test set, and writes results/export.json.

Parts:
  model  mask AP through mmdet and through onnxruntime, and where the two differ
  speed  an image, with one thread and with two: the host, the deployment module in torch, compiled
         by torch.compile, the file, the same simplified, in int8 and in float16
  head   the MaskIoU head alone for 100 masks, likewise
The cases of a part take turns. Times are medians over the images, and so are ratios to the first
case. An error is the largest difference of a predicted IoU from the first case's. A part replaces
its former records.

example:
  DSB2018_ROOT=FOLDER python projects/deployment/study.py ms_rcnn.py ms_rcnn.pth --images 12
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmdet.apis import inference_detector
from mmengine.config import DictAction
from pycocotools import mask as mask_utils

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))  # started as a script, from anywhere

from msrcnn_plugin.apis.evaluate_checkpoint import read_config  # noqa: E402
from msrcnn_plugin.deploy import DeployedModel  # noqa: E402
from msrcnn_plugin.deploy.model import read_image  # noqa: E402
from msrcnn_plugin.evaluation import evaluate_coco  # noqa: E402
from msrcnn_plugin.export.onnx_file import export_detector  # noqa: E402
from msrcnn_plugin.export.trained_model import load_trained_model  # noqa: E402
from projects.ablations.records import (  # noqa: E402
    file_digest,
    provenance,
    read_records,
    write_records,
)
from projects.deployment.speed import (  # noqa: E402
    TITLES,
    Model,
    head_records,
    paths,
    speed_records,
)

LIMITS = (100, 300)  # detections of an image: COCO's, and what our nuclei configs keep


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config')
    parser.add_argument('checkpoint')
    parser.add_argument('--part', action='append', choices=PARTS, help='may be repeated (all)')
    parser.add_argument('--images', type=int, help='only the first ones of the test set (all)')
    parser.add_argument('--without', action='append', default=[], choices=TITLES, help='a case')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/export'))
    parser.add_argument('--results', type=Path, default=REPOSITORY / 'results' / 'export.json')
    args = parser.parse_args()
    args.work_dir.mkdir(parents=True, exist_ok=True)
    model = Model(
        *load_trained_model(args.config, args.checkpoint, args.cfg_options),
        config=read_config(args.config),
    )
    model.metadata.update(kind='detector', preprocessing=False, size=None)
    shared = dict(
        seed=0,
        config=Path(args.config).name,
        start=file_digest(args.checkpoint),
        **provenance(shlex.join(['python', 'projects/deployment/study.py', *sys.argv[1:]])),
    )
    for part in args.part or PARTS:
        for new in PARTS[part](model, args):
            kept = [
                old
                for old in read_records(args.results)
                if (old['study'], old['run']) != (new['study'], new['run'])
            ]
            write_records(args.results, [*kept, dict(new, **shared)])
            print(new['study'], new['run'], flush=True)
    return 0


def model_records(model: Model, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yields the AP of the host and of the file, and the detections that one of them has alone."""
    annotations = model.config.test_evaluator.ann_file
    export_detector(model.module, args.work_dir / 'model.onnx', model.metadata)
    deployed = DeployedModel(args.work_dir / 'model.onnx', threads=1)
    results: dict[str, list[dict]] = dict(host=[], file=[])
    differences: list[dict[str, Any]] = []
    largest = dict.fromkeys(('bbox', 'score', 'mask_iou', 'mask_score'), 0.0)
    images = json.loads(Path(annotations).read_text())['images'][: args.images]
    for image, path in zip(images, paths(model, args)):
        pixels = read_image(path)
        host = host_entries(model, pixels, image['id'])
        found = deployed(pixels).to_coco(image['id'], deployed.category_ids)
        results['host'] += host
        results['file'] += found
        same, alone = compared(host, found)
        differences += [dict(entry, image=path.name) for entry in alone]
        for key in largest:
            gaps = [np.abs(np.subtract(a[key], b[key])).max() for a, b in same]
            largest[key] = max(largest[key], float(max(gaps, default=0)))
    truth = json.loads(Path(annotations).read_text())
    ids = {image['id'] for image in images}
    truth['images'] = images
    truth['annotations'] = [item for item in truth['annotations'] if item['image_id'] in ids]
    for run, entries in results.items():
        matches = evaluate_coco(truth, entries, max_dets=(10, *LIMITS)).matches
        ap = {
            f'at_{limit}': {
                key: matches.rank(key).ap(max_dets=limit) for key in ('score', 'mask_score')
            }
            for limit in LIMITS
        }
        found_by_file = dict(differences=largest, alone=differences) if run == 'file' else {}
        yield dict(
            study='export-ap',
            run=run,
            title=TITLES[run],
            images=len(images),
            detections=len(entries),
            **ap,
            **found_by_file,
        )


def host_entries(model: Model, pixels: Any, image_id: Any) -> list[dict[str, Any]]:
    """The host's detections as entries of a COCO results file."""
    found = inference_detector(model.module, pixels).pred_instances.numpy()
    boxes = np.concatenate([found.bboxes[:, :2], found.bboxes[:, 2:] - found.bboxes[:, :2]], 1)
    rles = mask_utils.encode(np.asfortranarray(found.masks.transpose(1, 2, 0).astype(np.uint8)))
    return [
        dict(
            image_id=image_id,
            category_id=model.metadata['categories'][label]['id'],
            bbox=box,
            segmentation=dict(rle, counts=rle['counts'].decode()),
            score=float(found.scores[index]),
            mask_iou=float(found.mask_ious[index]),
            mask_score=float(found.mask_scores[index]),
        )
        for index, (label, box, rle) in enumerate(zip(found.labels, boxes.tolist(), rles))
    ]


def compared(
    host: Sequence[dict[str, Any]], file: Sequence[dict[str, Any]]
) -> tuple[list[tuple[dict, dict]], list[dict[str, Any]]]:
    """Pairs the detections of an image: those of both, and those that one of the two has alone.

    Of the latter it says the score, and the largest box IoU with another one of the same side: what
    lies at a threshold is decided by rounding.
    """
    pairs, rest = [], list(file)
    lonely = []
    for one in host:
        place = next((i for i, other in enumerate(rest) if same_detection(one, other)), None)
        if place is None:
            lonely.append(('host', one, host))
        else:
            pairs.append((one, rest.pop(place)))
    lonely += [('file', one, file) for one in rest]
    return pairs, [
        dict(of=name, score=one['score'], box_iou=largest_overlap(one, others))
        for name, one, others in lonely
    ]


def same_detection(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    near = np.allclose(one['bbox'], other['bbox'], rtol=0, atol=0.01)
    return near and one['category_id'] == other['category_id']


def largest_overlap(one: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> float:
    boxes = np.array([other['bbox'] for other in others if other is not one]).reshape(-1, 4)
    if not len(boxes):
        return 0.0
    return float(mask_utils.iou(np.array([one['bbox']]), boxes, [0] * len(boxes)).max())


PARTS = dict(model=model_records, speed=speed_records, head=head_records)

if __name__ == '__main__':
    sys.exit(main())
