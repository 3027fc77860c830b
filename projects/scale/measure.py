"""Measures time and peak memory of the commands on files, and writes results/scale.json.

  measure.py [--images 5000] [--runs report pycocotools fit apply]

The set is synthetic: 7.2 objects and 100 masks an image, 640 x 480 pixels, 80 categories. The
default is the size of COCO val. Each run is a process of its own. Records of other sizes stay.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as mask_utils

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))  # started as a script, from anywhere

from projects.ablations.records import provenance, read_records, write_records  # noqa: E402

RECORDS = REPOSITORY / 'results' / 'scale.json'
HEIGHT, WIDTH, CATEGORIES = 480, 640, 80
OBJECTS, DETECTIONS = 7.2, 100  # an image
POOL, VARIANTS = 500, 12  # objects that images draw from; masks of each
COCO_EVALUATION = """
import sys
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
truth = COCO(sys.argv[1])
evaluation = COCOeval(truth, truth.loadRes(sys.argv[2]), 'segm')
evaluation.evaluate()
evaluation.accumulate()
evaluation.summarize()
"""
# A process begins with the peak memory of the one that starts it: this one is small.
WATCH = """
import json, resource, subprocess, sys
status = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss]))
"""
TITLES = dict(
    report='`msrcnn report`, all rankings and the page',
    pycocotools='pycocotools, one ranking',
    fit='`msrcnn rescore fit`',
    apply='`msrcnn rescore apply`',
)


def make_set(folder: Path, images: int, seed: int = 0) -> dict[str, int]:
    """Writes gt.json and dt.json; returns the number of objects and of detections."""
    rng = np.random.default_rng(seed)
    pool = [_object(rng) for _ in range(POOL)]
    counts = rng.multinomial(round(OBJECTS * images), np.full(images, 1 / images))
    annotations: list[dict[str, Any]] = []
    with open(folder / 'dt.json', 'w', encoding='utf-8') as stream:
        stream.write('[')
        for image, count in enumerate(counts.tolist(), 1):
            places = rng.integers(POOL, size=count)
            classes = rng.integers(1, CATEGORIES + 1, size=count)
            for place, category in zip(places, classes.tolist()):
                number = len(annotations) + 1
                which = dict(id=number, image_id=image, category_id=category, iscrowd=0)
                annotations.append({**pool[place][0], **which})
            lines = [_detection(rng, image, pool, places, classes) for _ in range(DETECTIONS)]
            stream.write(',\n' * (image > 1) + ',\n'.join(lines))
        stream.write(']')
    size = dict(height=HEIGHT, width=WIDTH)
    dataset = dict(
        images=[dict(size, id=i, file_name=f'{i}.jpg') for i in range(1, images + 1)],
        annotations=annotations,
        categories=[dict(id=k, name=f'class {k}') for k in range(1, CATEGORIES + 1)],
    )
    (folder / 'gt.json').write_text(json.dumps(dataset), encoding='utf-8')
    return dict(objects=len(annotations), detections=DETECTIONS * images)


def _object(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Makes a polygon with its area and box, then masks that resemble it less and less."""
    centre, radius = rng.random(2) * (WIDTH, HEIGHT), np.exp(rng.uniform(*np.log([8, 150])))
    first = _polygon(rng, centre, radius)
    mask = mask_utils.merge(mask_utils.frPyObjects([first], HEIGHT, WIDTH))
    area, box = float(mask_utils.area(mask)), mask_utils.toBbox(mask).tolist()
    found = [dict(segmentation=[first], area=area, bbox=box)]
    for spread in np.linspace(0.02, 0.4, VARIANTS):
        shifted = centre + spread * radius * rng.normal(size=2)
        polygon = _polygon(rng, shifted, radius * np.exp(spread * rng.normal()))
        mask = mask_utils.merge(mask_utils.frPyObjects([polygon], HEIGHT, WIDTH))
        rle = dict(size=[HEIGHT, WIDTH], counts=mask['counts'].decode())
        found.append(dict(segmentation=rle, bbox=mask_utils.toBbox(mask).tolist()))
    return found


def _polygon(rng: np.random.Generator, centre: np.ndarray, radius: float) -> list[float]:
    """Returns 12 corners around a centre that touch the image."""
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False) + rng.random()
    radii = np.maximum(radius * (0.8 + 0.4 * rng.random(12)), 3)
    corners = centre + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.clip(corners, 0, (WIDTH, HEIGHT)).ravel().round(1).tolist()


def _detection(
    rng: np.random.Generator,
    image: int,
    pool: Sequence[Sequence[dict[str, Any]]],
    places: np.ndarray,
    classes: np.ndarray,
) -> str:
    """Writes a result: three of five are masks of the image's objects, better ones score higher."""
    draw, score, chance, which = rng.random(4)
    variant = 1 + int(draw * VARIANTS)
    if len(places) and chance < 0.6:
        at = int(which * len(places))
        place, category = places[at], classes[at]
        score = 0.5 * score + 0.5 * (1 - draw)
    else:
        place, category = int(which * POOL), 1 + int(chance * CATEGORIES)
        score = 0.7 * score
    entry = pool[place][variant]
    if 'text' not in entry:
        entry['text'] = json.dumps(dict(segmentation=entry['segmentation'], bbox=entry['bbox']))
    numbers = f'"image_id": {image}, "category_id": {category}, "score": {score:.5f}'
    return f'{{{numbers}, "mask_score": {0.9 * score:.5f}, {entry["text"][1:]}'


def measure(words: Sequence[str]) -> dict[str, float]:
    """Runs a command; returns its processor time and wall time in s, and peak memory in GiB."""
    start = time.perf_counter()
    watched = [sys.executable, '-S', '-c', WATCH, *words]
    told = subprocess.run(watched, stdout=subprocess.PIPE, cwd=REPOSITORY, check=True).stdout
    status, cpu_seconds, peak = json.loads(told)
    if status:
        raise RuntimeError(f'{shlex.join(words)} failed with {status}')
    kilobytes = 1 if sys.platform == 'darwin' else 1024
    return dict(
        cpu_seconds=cpu_seconds,
        wall_seconds=time.perf_counter() - start,
        peak_gib=peak * kilobytes / 2**30,
    )


def commands(folder: Path) -> dict[str, list[str]]:
    """Returns the command line of each run, in the order in which they need each other."""
    truth, results, rescorer = (str(folder / name) for name in ('gt.json', 'dt.json', 'r.json'))
    files = ['--annotations', truth, '--results', results]
    msrcnn = [sys.executable, '-m', 'msrcnn_plugin']
    return dict(
        report=[*msrcnn, 'report', *files, '--out', str(folder), '--json', f'{folder}/f.json'],
        pycocotools=[sys.executable, '-c', COCO_EVALUATION, truth, results],
        fit=[*msrcnn, 'rescore', 'fit', *files, '--out', rescorer],
        apply=[*msrcnn, 'rescore', 'apply', rescorer, results, '--out', f'{folder}/scored.json'],
    )


def study(images: int, runs: Sequence[str], command: str = '') -> Iterator[dict[str, Any]]:
    """Yields a record of each run on a set of this size."""
    with tempfile.TemporaryDirectory() as name:
        counts = dict(images=images, **make_set(Path(name), images))
        for run, words in commands(Path(name)).items():
            if run in runs:
                figures = {**counts, **measure(words)}
                print(run, figures, flush=True)
                shared = dict(study='scale', seed=0, **provenance(command))
                run_name, title = f'{run}_{images}', TITLES[run]
                yield dict(shared, run=run_name, title=title, figures=figures)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--images', type=int, default=5000)
    parser.add_argument('--runs', nargs='+', choices=TITLES, default=list(TITLES))
    args = parser.parse_args()
    words = ['python', 'projects/scale/measure.py', *sys.argv[1:]]
    for new in study(args.images, args.runs, shlex.join(words)):
        others = [record for record in read_records(RECORDS) if record['run'] != new['run']]
        records = sorted([*others, new], key=lambda record: record['figures']['images'])
        write_records(RECORDS, records)


if __name__ == '__main__':
    main()
