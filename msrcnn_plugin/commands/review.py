"""Queues masks for human review: those with a low predicted IoU, lowest first.

  msrcnn review CONFIG CHECKPOINT IMAGES OUT
      masks that a model with a MaskIoU head predicts
  msrcnn review OUT --annotations FILE.json --results DT.json
      masks of a results file with `mask_iou`, such as `msrcnn rescore apply` writes; needs neither
      mmdet nor torch. FILE.json lists images and categories in COCO format.

With --threshold, those below a threshold of `msrcnn threshold`: the masks from it on keep its
promise.

OUT is a COCO annotation file for annotation tools and pycocotools. Each annotation also has score,
mask_iou and mask_score. IMAGES is an image or a folder of them; file names in OUT are relative to
it. Category ids are those of the annotation file of the config's test set, where that is there.

--format cvat adds the scores as attributes, which CVAT and Datumaro read. --format label-studio
writes tasks with polygons, and prints the labelling interface that they need.

Exit status 1: some images cannot be read. They are named and left out; OUT holds all others.
Finished images are kept in OUT.partial until every image is in OUT. Called again with the same
model and options, the command goes on from there.

examples:
  msrcnn review my_config.py epoch_12.pth images/ queue.json --below 0.7
  msrcnn review queue.json --annotations val.json --results dt_scored.json
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import atomic_write, require_writable, write_json
from .arguments import add_json, fraction, require_files

if TYPE_CHECKING:
    from ..apis import MaskScoringInferencer

SOME_UNREADABLE = 1
FORMATS = ('coco', 'cvat', 'label-studio')
NAMES = dict(score='class score', mask_iou='predicted IoU', mask_score='mask score')
IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.pgm', '.tif', '.tiff', '.webp')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `msrcnn review`."""
    parser.add_argument('inputs', nargs='+', type=Path, metavar='FILE', help='see above')
    parser.add_argument('--annotations', type=Path, metavar='FILE.json', help='images, categories')
    parser.add_argument('--results', type=Path, metavar='DT.json', help='detections in COCO format')
    limit = parser.add_mutually_exclusive_group()
    limit.add_argument(
        '--below',
        type=fraction,
        default=0.7,
        metavar='IOU',
        help='queue masks of a lower predicted IoU (%(default)s)',
    )
    limit.add_argument(
        '--threshold',
        type=Path,
        metavar='FILE',
        help='queue masks below the threshold that msrcnn threshold --json wrote',
    )
    parser.add_argument(
        '--min-score',
        type=fraction,
        default=0.3,
        metavar='SCORE',
        help='and of at least this class score (%(default)s)',
    )
    parser.add_argument(
        '--format', choices=FORMATS, default='coco', help='of OUT, see above (%(default)s)'
    )
    parser.add_argument('--device', help='such as cpu or cuda:1 (cuda where there is one)')
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Queues masks of a results file, or predicts the images that are not finished."""
    given = len(args.inputs)
    if args.results is None and args.annotations is None and given == 4:
        return _review_model(args, *args.inputs)
    if args.results and args.annotations and given == 1:
        return _review_results(args, *args.inputs)
    raise ValueError(
        'give CONFIG CHECKPOINT IMAGES OUT, or OUT --annotations FILE.json --results DT.json'
    )


def _review_results(args: argparse.Namespace, out: Path) -> int:
    require_files([args.annotations, args.results, args.threshold])
    limits = _limits(args)
    for path in filter(None, [out, args.json]):
        require_writable(path)
    from ..evaluation.coco_files import read_ground_truth, read_results

    truth = read_ground_truth(args.annotations, required=('file_name',))
    by, below = limits['by'], limits['below']
    found = read_results(args.results, truth, scores=('score', by))
    queued = [
        place
        for place in found.scores[by].argsort(kind='stable').tolist()
        if found.scores[by][place] < below
        and found.scores['score'][place] >= limits['min_score']
        and found.dataset['annotations'][place]['area']
    ]
    annotations = [
        dict(
            {key: values[place].item() for key, values in found.scores.items()},
            id=number,
            image_id=truth.image_ids[entry['image_id'] - 1],
            category_id=truth.category_ids[entry['category_id'] - 1],
            **{key: entry[key] for key in ('segmentation', 'area', 'bbox', 'iscrowd')},
        )
        for number, place in enumerate(queued, 1)
        for entry in [found.dataset['annotations'][place]]
    ]
    images, categories = truth.original_listings()
    queue = dict(images=images, annotations=annotations, categories=categories)
    _write(args, out, queue, limits, {})
    return 0


def _review_model(
    args: argparse.Namespace, config: Path, checkpoint: Path, images: Path, out: Path
) -> int:
    require_files([config, checkpoint, args.threshold])
    limits = _limits(args)
    files = image_files(images)
    partial = out.with_name(f'{out.name}.partial')
    for path in filter(None, [out, partial, args.json]):
        require_writable(path)
    from ..apis.review_queue import merge_queue

    inferencer, categories = _load_model(config, checkpoint, args.device)
    header = dict(models=[_stamp(config), _stamp(checkpoint)], categories=categories, **limits)
    entries, problems = _predict(files, inferencer, categories, limits, partial, header)
    queue = merge_queue(entries, categories, limits['by'])
    _write(args, out, queue, limits, problems)
    if problems:
        print(f'msrcnn review: {len(problems)} images left out', file=sys.stderr)
        return SOME_UNREADABLE
    partial.unlink()
    return 0


def _write(
    args: argparse.Namespace,
    out: Path,
    queue: dict[str, Any],
    limits: Mapping[str, Any],
    problems: Mapping[str, str],
) -> None:
    """Writes the queue and the counts, and prints these."""
    counts = dict(
        images=len(queue['images']),
        masks=len(queue['annotations']),
        by=limits['by'],
        below=limits['below'],
        unreadable=problems,
    )
    print(
        '{images} images, {masks} masks with a {name} below {below}'.format(
            name=NAMES.get(limits['by'], limits['by']), **counts
        )
    )
    with atomic_write(out) as stream:
        stream.write(json.dumps(_formatted(queue, args.format)).encode())
    if args.json:
        write_json(args.json, counts)
    print(out)


def image_files(images: Path) -> list[Path]:
    """Returns the image, or the images of a folder by their names, sorted.

    Raises:
        ValueError: there is none.
    """
    if images.is_file():
        return [images]
    found = images.iterdir() if images.is_dir() else ()
    files = sorted(path for path in found if path.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise ValueError(f'{images} holds no image: give an image, or a folder of images')
    return files


def _formatted(queue: dict[str, Any], kind: str) -> Any:
    if kind == 'cvat':
        from ..connectors.cvat import cvat_annotations

        return cvat_annotations(queue)
    if kind == 'label-studio':
        from ..connectors.label_studio import label_studio_config, label_studio_tasks

        print(f'labelling interface: {label_studio_config(queue["categories"])}')
        return label_studio_tasks(queue)
    return queue


def _limits(args: argparse.Namespace) -> dict[str, Any]:
    """Returns which masks are queued, as `image_entry` takes it."""
    if args.threshold is None:
        return dict(by='mask_iou', below=args.below, min_score=args.min_score)
    from ..evaluation.threshold import read_threshold

    key, below = read_threshold(args.threshold)
    if args.results is None and key not in NAMES:
        raise ValueError(f'{args.threshold} is of {key}; expected one of {", ".join(NAMES)}')
    return dict(by=key, below=below, min_score=args.min_score)


def _load_model(
    config: Path, checkpoint: Path, device: str | None
) -> tuple[MaskScoringInferencer, list[dict[str, Any]]]:
    """Returns the model, and the COCO category of each of its labels."""
    from ..apis import MaskScoringInferencer
    from ..apis.evaluate_checkpoint import config_errors, load_weights, read_config
    from ..apis.test_set import label_categories
    from ..checkpoints import read_content

    cfg = read_config(config)
    read_content(checkpoint)  # refuses what is no checkpoint
    with config_errors():
        inferencer = MaskScoringInferencer(cfg, str(checkpoint), device=device, show_progress=False)
    load_weights(inferencer.model, checkpoint)  # mmdet lets weights be missing
    return inferencer, label_categories(cfg, inferencer.model.dataset_meta['classes'])


def _predict(
    files: list[Path],
    inferencer: MaskScoringInferencer,
    categories: list[dict[str, Any]],
    limits: dict[str, Any],
    partial: Path,
    header: Mapping[str, Any],
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Returns the entries of all readable images in their order, and the problems of the others."""
    from rich.console import Console
    from rich.progress import track

    from ..apis.review_queue import image_entry
    from ..image_problem import image_problem

    done = _resume(partial, header)
    entries, problems = [], {}
    console = Console(stderr=True)
    with open(partial, 'a', encoding='utf-8') as log:
        for path in track(files, 'images', console=console) if console.is_terminal else files:
            problem = image_problem(path)
            if problem:
                problems[path.name] = problem
                print(f'msrcnn review: {path.name} is left out: {problem}', file=sys.stderr)
                continue
            stamp = _stamp(path)
            entry = done.get(tuple(stamp))
            if entry is None:
                (sample,) = inferencer(str(path), return_datasamples=True)['predictions']
                sample.set_metainfo(dict(img_path=path.name))
                entry = image_entry(sample, categories, **limits)
                log.write(json.dumps([stamp, entry]) + '\n')
                log.flush()
            entries.append(entry)
    return entries, problems


def _stamp(path: Path) -> list[Any]:
    """Identifies a file's content without reading it."""
    status = path.stat()
    return [str(path.resolve()), status.st_size, status.st_mtime_ns]


def _resume(partial: Path, header: Mapping[str, Any]) -> dict[tuple, dict[str, Any]]:
    """Reads the finished images of an earlier call with this header; leaves a file to append to."""
    done = {}
    lines = partial.read_text(encoding='utf-8').splitlines() if partial.is_file() else []
    if lines[:1] == [json.dumps(header)]:
        for line in lines[1:]:
            try:
                stamp, entry = json.loads(line)
            except ValueError:  # the line that was being written
                continue
            done[tuple(stamp)] = entry
    kept = [header, *([list(stamp), entry] for stamp, entry in done.items())]
    with atomic_write(partial) as stream:
        stream.write(''.join(json.dumps(each) + '\n' for each in kept).encode())
    if done:
        print(f'goes on after {len(done)} images of an earlier call', file=sys.stderr)
    return done
