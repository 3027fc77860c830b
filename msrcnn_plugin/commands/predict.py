"""Predicts a folder of images with an exported model, without mmdet and torch.

OUT is a COCO results file: masks, score, mask_iou and mask_score. `msrcnn report` takes it.
With --annotations, the images of that file are predicted, and ids are those of that file. Without
it, images are numbered from 1 in the order of their names, and entries gain `file_name`.

Needs the packages onnxruntime and opencv-python: pip install msrcnn_plugin[onnxruntime]

example:
  msrcnn predict model.onnx images/ --annotations val.json --out results.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..files import atomic_write, require_writable, write_json
from .arguments import add_json, require_files
from .review import image_files


class Source(NamedTuple):
    """An image file, its id, and what its entries say beside the detection."""

    path: Path
    image_id: Any
    named: dict[str, str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `msrcnn predict`."""
    parser.add_argument('model', metavar='MODEL.onnx', type=Path, help='of msrcnn export')
    parser.add_argument('images', type=Path, help='an image, or a folder of them')
    parser.add_argument('--out', type=Path, required=True, help='COCO results file to write')
    parser.add_argument('--annotations', type=Path, help='COCO file of the images and their ids')
    parser.add_argument('--threads', type=int, default=0, help="onnxruntime's, all by default")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Predicts all images and writes the results."""
    require_files([args.model, args.annotations])
    for path in filter(None, [args.out, args.json]):
        require_writable(path)
    from ..deploy import DeployedModel
    from ..evaluation.coco_schema import refuse
    from ..image_problem import image_problem
    from ..progress import progress_bar

    model = DeployedModel(args.model, threads=args.threads)
    if args.annotations:
        sources, category_ids = _listed(args.images, args.annotations, model.classes)
    else:
        files = image_files(args.images)
        sources = [Source(f, i, dict(file_name=f.name)) for i, f in enumerate(files, 1)]
        category_ids = model.category_ids
    problems = [(source.path, image_problem(source.path)) for source in sources]
    refuse(str(args.images), [f'{path.name}: {problem}' for path, problem in problems if problem])
    entries: list[dict[str, Any]] = []
    with progress_bar('Predicting', len(sources)) as counted:
        predict = counted(model.__call__)
        for source in sources:
            found = predict(source.path).to_coco(source.image_id, category_ids)
            entries += [dict(entry, **source.named) for entry in found]
    with atomic_write(args.out) as stream:
        stream.write(json.dumps(entries).encode())
    counts = dict(images=len(sources), detections=len(entries))
    if args.json:
        write_json(args.json, counts)
    print('{images} images, {detections} detections'.format(**counts))
    print(args.out)
    return 0


def _listed(
    folder: Path, annotations: Path, classes: Sequence[str]
) -> tuple[list[Source], list[Any]]:
    """Finds the images that an annotation file lists, and its id of each of the model's classes."""
    from ..evaluation.coco_schema import decode_ground_truth, refuse

    content = decode_ground_truth(annotations, str(annotations))
    ids = {category['name']: category['id'] for category in content['categories']}
    missing = [f'there is no category {name!r}' for name in classes if name not in ids]
    listed = [(folder / image.get('file_name', ''), image['id']) for image in content['images']]
    missing += [f'{path} is missing' for path, _ in listed if not path.is_file()]
    refuse(str(annotations), missing)
    return [Source(path, id_, {}) for path, id_ in listed], [ids[name] for name in classes]
