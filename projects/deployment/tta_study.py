"""Measures what test-time augmentation gains on a test set, and writes results/tta.json.

Each image is predicted as it is, and in four views: two sizes, each also flipped. The views are
merged by MSTTAModel in two ways: those of the first size, and all four. A gain is against single
scale, by the same ranking, with its interval over the images. Time is that of the image's views and
of their merging; the variants take turns on each image.

example:
  DSB2018_ROOT=FOLDER python projects/deployment/tta_study.py scored.py scored.pth
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.runner import Runner
from numpy.typing import NDArray
from pycocotools import mask as mask_utils

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))  # started as a script, from anywhere

from msrcnn_plugin.apis.evaluate_checkpoint import (  # noqa: E402
    build_runner,
    load_weights,
    read_config,
)
from msrcnn_plugin.evaluation import Matches, bootstrap_gain  # noqa: E402
from msrcnn_plugin.evaluation.coco_files import read_ground_truth  # noqa: E402
from msrcnn_plugin.evaluation.coco_schema import JSONSource  # noqa: E402
from msrcnn_plugin.evaluation.matching import Masks, match_masks  # noqa: E402
from msrcnn_plugin.files import read_json, write_json  # noqa: E402
from msrcnn_plugin.progress import progress_bar  # noqa: E402
from projects.ablations.records import file_digest, provenance, write_records  # noqa: E402

SIZES = (448, 576)
# The views of each variant; single scale is predicted by itself.
VARIANTS = dict(flip=(0, 1), flip_scales=(0, 1, 2, 3))
TITLES = dict(single='single scale', flip='2 views: flipped', flip_scales='4 views: 2 sizes')
LIMITS = (100, 300)  # detections of an image: COCO's, and what our nuclei configs keep
NMS = dict(type='nms', iou_threshold=0.5)
META = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip', 'flip_direction')


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config')
    parser.add_argument('checkpoint')
    parser.add_argument('--images', type=int, help='only the first ones (all)')
    parser.add_argument('--resamples', type=int, default=1000, help='of an interval')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/tta'))
    parser.add_argument('--results', type=Path, default=REPOSITORY / 'results' / 'tta.json')
    args = parser.parse_args()
    cfg = read_config(args.config)
    cfg.work_dir, cfg.load_from, cfg.log_level = str(args.work_dir), None, 'WARNING'
    if args.images:
        keep_images(cfg, args.images, args.work_dir)
    matches, seconds = predict(cfg, args.checkpoint)
    boxes = {name: matched_boxes(found, annotations(cfg)) for name, found in matches.items()}
    command = shlex.join(['python', 'projects/deployment/tta_study.py', *sys.argv[1:]])
    shared = dict(
        study='tta',
        seed=0,
        config=Path(args.config).name,
        start=file_digest(args.checkpoint),
        data=file_digest(annotations(cfg)),
        images=len(seconds['single']),
        sizes=SIZES,
        **provenance(command),
    )
    records = [
        dict(
            shared,
            run=name,
            title=TITLES[name],
            seconds=median(seconds[name]),
            ratio=median(a / b for a, b in zip(seconds[name], seconds['single'])),
            **judged(name, matches, boxes, args.resamples),
        )
        for name in TITLES
    ]
    write_records(args.results, records)
    print(args.results)
    return 0


def annotations(cfg: Config) -> str:
    return str(cfg.test_evaluator.ann_file)


def keep_images(cfg: Config, count: int, folder: Path) -> None:
    """Leaves the first images of the test set in the config."""
    folder.mkdir(parents=True, exist_ok=True)
    truth = read_json(Path(annotations(cfg)))
    truth['images'] = truth['images'][:count]
    ids = {image['id'] for image in truth['images']}
    truth['annotations'] = [item for item in truth['annotations'] if item['image_id'] in ids]
    path = (folder / 'annotations.json').resolve()
    write_json(path, truth)
    cfg.test_evaluator.ann_file = cfg.test_dataloader.dataset.ann_file = str(path)


def predict(cfg: Config, checkpoint: str) -> tuple[dict[str, Matches], dict[str, list[float]]]:
    """Predicts the test set by all variants.

    Returns:
        of each variant the matches of its masks, and the seconds of each image.
    """
    plain = build_runner(cfg).model.eval()
    tta_cfg = dict(nms=NMS, max_per_img=cfg.model.test_cfg.rcnn.max_per_img)
    merging = MODELS.build(dict(type='MSTTAModel', module=cfg.model, tta_cfg=tta_cfg)).eval()
    for model in (plain, merging.module):
        load_weights(model, checkpoint)
    batches = {
        'single': Runner.build_dataloader(cfg.test_dataloader),
        'views': Runner.build_dataloader(with_views(cfg.test_dataloader)),
    }
    classes = batches['single'].dataset.metainfo
    evaluator = dict(cfg.test_evaluator, type='MaskScoringMetric')
    evaluators = {name: Evaluator([dict(evaluator)]) for name in TITLES}
    seconds: dict[str, list[float]] = {name: [] for name in TITLES}
    count = len(batches['single'].dataset)
    with progress_bar('Predicting', count) as counted, torch.no_grad():
        variants = counted(lambda single, views: of_image(plain, merging, single, views))
        for single, views in zip(*batches.values()):
            for name, (sample, time_spent) in variants(single, views).items():
                evaluators[name].process([sample])
                seconds[name].append(time_spent)
    matches = {}
    for name, found in evaluators.items():
        found.dataset_meta = classes
        found.evaluate(count)
        matches[name] = found.metrics[0].result.matches
    return matches, seconds


def of_image(plain: Any, merging: Any, single: Any, views: Any) -> dict[str, tuple[Any, float]]:
    """Predicts an image by all variants: of each the sample and its seconds."""
    sample, time_spent = timed(lambda: plain.test_step(single)[0])
    results = {'single': (sample, time_spent)}
    found = [
        timed(lambda: merging.module.test_step(dict(inputs=image, data_samples=meta))[0])  # noqa: B023
        for image, meta in zip(views['inputs'], views['data_samples'])
    ]
    for name, chosen in VARIANTS.items():
        samples = [found[view][0].clone() for view in chosen]
        merged, merge_time = timed(lambda: merging.merge_preds([samples])[0])  # noqa: B023
        results[name] = merged, merge_time + sum(found[view][1] for view in chosen)
    return results


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    return call(), time.perf_counter() - start


def with_views(dataloader: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the loader of the same images, each in all views: of each size as it is, flipped."""
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(
            type='TestTimeAug',
            transforms=[
                [dict(type='Resize', scale=(size, size), keep_ratio=True) for size in SIZES],
                [dict(type='RandomFlip', prob=prob) for prob in (0.0, 1.0)],
                [dict(type='PackDetInputs', meta_keys=META)],
            ],
        ),
    ]
    return dict(dataloader, dataset=dict(dataloader['dataset'], pipeline=pipeline))


def matched_boxes(matches: Matches, annotations: JSONSource) -> Matches:
    """Matches the boxes of the same detections, in place of their masks."""
    truth = read_ground_truth(annotations)
    items = truth.dataset['annotations']
    corners = matches.box
    sides = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], 1)
    ids: NDArray = np.array([[i['image_id'], i['category_id']] for i in items], dtype=np.int64) - 1
    return match_masks(
        Masks([*sides], image=matches.image, category=matches.category, area=sides[:, 2:].prod(1)),
        Masks(
            [np.array(item['bbox'], dtype=float) for item in items],
            image=ids[:, 0],
            category=ids[:, 1],
            area=np.array([item['area'] for item in items], dtype=float),
            crowd=np.array([item.get('iscrowd', 0) for item in items], dtype=bool),
            id_is_zero=np.array([i == 0 for i in truth.annotation_ids], dtype=bool),
        ),
        image_ids=matches.image_ids,
        categories=dict(zip(matches.category_ids, matches.category_names)),
        scores=matches.scores,
        box=corners,
        protocol=matches.protocol,
        pairwise_iou=lambda found, gts, crowd: mask_utils.iou(
            np.array(found), np.array(gts), [*map(int, crowd)]
        ),
    )


def judged(
    name: str, matches: Mapping[str, Matches], boxes: Mapping[str, Matches], resamples: int
) -> dict[str, Any]:
    """AP by each ranking at each limit, and its gain over single scale with the interval."""
    rankings: Sequence[tuple[str, Mapping[str, Matches], str]] = (
        ('box', boxes, 'score'),
        ('class_score', matches, 'score'),
        ('mask_score', matches, 'mask_score'),
        ('agreement', matches, 'mask_agreement'),
    )
    found: dict[str, Any] = {f'at_{limit}': {} for limit in LIMITS}
    for ranking, tests, key in rankings:
        ours, base = tests[name], tests['single']
        if key not in ours.scores:
            continue
        scores, baseline = ours.scores[key], base.scores.get(key, base.scores['score'])
        if key == 'mask_agreement':  # itself no ranking; single scale has none
            scores = scores * ours.scores['score']
        for limit in LIMITS:
            entry = dict(ap=ours.rank(scores).ap(max_dets=limit))
            if name != 'single':
                gain = bootstrap_gain(
                    ours,
                    scores,
                    baseline,
                    baseline_matches=base,
                    max_dets=limit,
                    resamples=resamples,
                )
                entry.update(asdict(gain))
            found[f'at_{limit}'][ranking] = entry
    return found


if __name__ == '__main__':
    sys.exit(main())
