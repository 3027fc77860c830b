"""Measures what rescoring gains for one model, and writes results/rescore.json.

  study.py NAME --fit GT_TRAIN DT_TRAIN --test GT_VAL DT_VAL [--figure docs/rescore.png]
  study.py NAME --fit GT_VAL DT_VAL

The trees learn from the results of the first data set and rank the masks of the second. Without a
second one, those of each fifth of the images are ranked by trees that learnt from the others.
Records: all numbers; without one group of numbers at a time; fitted on fewer images. All records of
NAME are replaced. --feature names further numbers of the results, a group of their own.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from lightgbm import Booster
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))  # started as a script, from anywhere

from msrcnn_plugin.evaluation import Matches, Rescorer  # noqa: E402
from msrcnn_plugin.evaluation.coco_files import Results  # noqa: E402
from msrcnn_plugin.evaluation.matching import pairwise_rle_iou  # noqa: E402
from msrcnn_plugin.evaluation.rescorer import FOLDS, train_trees  # noqa: E402
from msrcnn_plugin.evaluation.rescorer_input import read_for_fit  # noqa: E402
from msrcnn_plugin.evaluation.rescorer_table import detection_table, table_columns  # noqa: E402
from projects.ablations.records import (  # noqa: E402
    file_digest,
    provenance,
    read_records,
    write_records,
)

RECORDS = REPOSITORY / 'results' / 'rescore.json'
PACKAGES = ('lightgbm', 'scikit-learn', 'numpy', 'pycocotools')
IMAGES = (25, 50, 100, 200, 400)
NAMES = table_columns()
SIDES = ('same', 'other')
Learner = Callable[[NDArray, NDArray], Booster]
GROUPS = {
    'the score': [name for name in NAMES if 'score_logit' in name],
    'shape and place': NAMES[1:6],
    'the image': NAMES[6:9],
    'neighbours': [name for name in NAMES if name.startswith(('same_', 'other_'))],
}


def variants(images: int, features: Sequence[str]) -> Iterator[tuple[str, str, int, list[int]]]:
    """Yields run and title, and the number of images and the columns that it learns from."""
    names = table_columns(features)
    everything = list(range(len(names)))
    yield 'all', f'all numbers, {images} images', images, everything
    carried = [*features, *(f'{side}_better_{key}' for key in features for side in SIDES)]
    groups = {**GROUPS, **({', '.join(features): carried} if features else {})}
    for place, (group, left_out) in enumerate(groups.items()):
        columns = [at for at, name in enumerate(names) if name not in left_out]
        yield f'without_{place}', f'without {group}', images, columns
    for count in IMAGES:
        if count < images:
            yield f'images_{count}', f'{count} images', count, everything


def read(
    annotations: str, results: str, features: Sequence[str]
) -> tuple[Matches, NDArray, NDArray]:
    """Returns the matches, the numbers of each detection, and its score after mask NMS."""
    _, found, matches = read_for_fit(annotations, results, features)
    order = matches.result_index
    return matches, detection_table(found, features)[order], suppressed(found, matches)


def drawn(image: NDArray, count: int) -> NDArray[np.int64]:
    """Returns the rows of so many images, drawn at random; more images hold the fewer."""
    images = np.random.default_rng(0).permutation(np.unique(image))
    return np.flatnonzero(np.isin(image, images[:count]))


def predict_held_out(
    learn: Learner, table: NDArray, target: NDArray, matches: Matches, count: int
) -> NDArray[np.float64]:
    """Predicts each fifth of the images by trees that learnt from ``count`` of the others."""
    counted, predicted = ~matches.on_crowd, np.empty(len(table))
    for rest, fold in GroupKFold(FOLDS).split(table, groups=matches.image):
        rows = rest[drawn(matches.image[rest], count)]
        rows = rows[counted[rows]]
        predicted[fold] = learn(table[rows], target[rows]).predict(table[fold])
    return predicted


def suppressed(found: Results, matches: Matches, iou_threshold: float = 0.5) -> NDArray:
    """Scores (N,) in the order of the matches; 1 less where a better-scored mask is kept instead.

    Greedy NMS of masks of a class, which needs no training: what trees have to beat.
    """
    scores = matches.scores['score'].copy()
    starts = np.flatnonzero(np.diff(matches.group, prepend=-1))
    for rows in np.split(np.arange(len(matches)), starts[1:]):
        rles = [
            found.dataset['annotations'][at]['segmentation'] for at in matches.result_index[rows]
        ]
        overlap = pairwise_rle_iou(rles, rles, np.zeros(len(rles), bool)) > iou_threshold
        kept = np.zeros(len(rows), bool)
        for row in np.argsort(-scores[rows], kind='stable'):
            kept[row] = not (overlap[row] & kept).any()
        scores[rows[~kept]] -= 1
    return scores


def study(
    name: str,
    fit: Sequence[str],
    test: Sequence[str] | None,
    *,
    features: Sequence[str] = (),
    command: str = '',
    resamples: int = 1000,
) -> list[dict[str, Any]]:
    """Returns the records of one model; the first holds the cross-validation as well."""
    shared = dict(
        study=name,
        seed=0,
        data={'fit': [*map(file_digest, fit)], 'test': [*map(file_digest, test or fit)]},
        **provenance(command),
    )
    shared['versions'] = {package: version(package) for package in PACKAGES}
    seconds = -time.process_time()
    judged = Rescorer(features, resamples=resamples).fit(*fit).judged_
    seconds += time.process_time()
    matches, table, after_nms = read(*fit, features)
    test_matches, test_table = matches, table
    if test:
        test_matches, test_table, after_nms = read(*test, features)
    target, counted = matches.ranking_scores('unique'), ~matches.on_crowd
    before, ceiling = (test_matches.rank(score).ap() for score in ('score', 'unique'))
    records = []

    def add(run: str, title: str, scores: NDArray, **learnt: int) -> None:
        figures = dict(ap_before=before, ap=test_matches.rank(scores).ap(), ap_unique=ceiling)
        gain = asdict(test_matches.bootstrap(scores, 'score', resamples=resamples))
        records.append(dict(shared, run=run, title=title, figures={**figures, **learnt}, gain=gain))
        print(title, figures, gain, flush=True)

    images, names = len(np.unique(matches.image)), table_columns(features)
    for run, title, count, columns in variants(images, features):
        learn = partial(train_trees, names=[names[at] for at in columns])
        rows = drawn(matches.image, count)
        learnt = dict(images=count, detections=len(rows))
        if test:
            rows = rows[counted[rows]]
            trees = learn(table[np.ix_(rows, columns)], target[rows])
            add(run, title, trees.predict(test_table[:, columns]), **learnt)
        elif count == images or count <= images * (FOLDS - 1) // FOLDS:
            scores = predict_held_out(learn, table[:, columns], target, matches, count)
            add(run, title, scores, **learnt)
    records[0].update(cross_validation=judged, fit_seconds=seconds)
    add('nms', 'no trees: NMS of the masks at an IoU of 0.5', after_nms)
    return records


def draw(records: Sequence[dict[str, Any]], path: Path) -> None:
    """Draws the gain against the number of images that the trees were fitted on."""
    from matplotlib.figure import Figure

    grown = [record['study'] for record in records if record['run'].startswith('images')]
    studies = list(dict.fromkeys(grown))
    figure = Figure(figsize=(4 * len(studies), 3), layout='constrained')
    axes = figure.subplots(1, len(studies), squeeze=False)[0]
    for ax, name in zip(axes, studies):
        runs = [
            record
            for record in records
            if record['study'] == name and record['run'].startswith(('all', 'images'))
        ]
        runs.sort(key=lambda record: record['figures']['images'])
        images = [record['figures']['images'] for record in runs]
        gain, low, high = (
            [100 * record['gain'][key] for record in runs] for key in ('gain', 'low', 'high')
        )
        ax.fill_between(images, low, high, alpha=0.2, linewidth=0)
        ax.plot(images, gain, marker='o')
        ax.axhline(0, color='black', linewidth=0.8)
        ticks = [count for count in images if count in IMAGES]
        ax.set(title=name, xscale='log', xlabel='fitted images')
        ax.set_xticks([], minor=True)
        ax.set_xticks(ticks, map(str, ticks))
    axes[0].set_ylabel('gain in mask AP')
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('name')
    for split in ('fit', 'test'):
        parser.add_argument(f'--{split}', nargs=2, required=split == 'fit', metavar=('GT', 'DT'))
    parser.add_argument('--feature', nargs='+', default=[], metavar='KEY')
    parser.add_argument('--figure', type=Path)
    args = parser.parse_args()
    others = [record for record in read_records(RECORDS) if record['study'] != args.name]
    words = ['python', 'projects/rescoring/study.py', *sys.argv[1:]]
    new = study(args.name, args.fit, args.test, features=args.feature, command=shlex.join(words))
    records = [*others, *new]
    write_records(RECORDS, records)
    if args.figure:
        draw(records, args.figure)


if __name__ == '__main__':
    main()
