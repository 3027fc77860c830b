"""Finds the files of a config's test set and checks them before anything is predicted."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..evaluation.coco_files import read_ground_truth
from ..evaluation.coco_schema import decode_ground_truth
from ..evaluation.image_files import check_images

# What mmdet and pycocotools read of every entry.
READ_BY_MMDET = ('file_name', 'area', 'bbox', 'iscrowd')


def check_test_set(cfg: Config) -> None:
    """Checks annotations and images of the test set, and the annotations of its metric.

    Data sets of another kind than COCO's and files of a remote storage are left to mmdet.

    Raises:
        ValueError: names the file and its first problems; or the images that are missing, cannot be
            read, or have another size than the annotations say, also by their EXIF orientation.
        FileNotFoundError: no annotation file.
    """
    ground_truths: dict[str, Any] = {}

    def read(file: str) -> Any:
        if file not in ground_truths:
            ground_truths[file] = read_ground_truth(file, required=READ_BY_MMDET)
        return ground_truths[file]

    for evaluator in cfg.test_evaluator:
        if evaluator.get('ann_file') and '://' not in evaluator['ann_file']:
            read(evaluator['ann_file'])
    for dataset in plain_datasets(cfg.test_dataloader.dataset):
        file, folder = annotation_file(dataset), image_folder(dataset)
        if file is None or '://' in file:
            continue
        ground_truth = read(file)
        if folder is not None and '://' not in folder:
            check_images(ground_truth, folder)


def plain_datasets(dataset: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yields the data sets that a config's ``dataset`` wraps or concatenates, or itself."""
    inner = dataset.get('datasets') or list(filter(None, [dataset.get('dataset')]))
    if not inner:
        yield dataset
    for one in inner:
        yield from plain_datasets(one)


def annotation_file(dataset: Mapping[str, Any]) -> str | None:
    """Returns the path of a plain data set's annotations, None where it names none."""
    file = dataset.get('ann_file')
    return os.path.join(dataset.get('data_root') or '', file) if file else None


def image_folder(dataset: Mapping[str, Any]) -> str | None:
    """Returns the folder of a plain data set's images, None where it names none."""
    prefix = (dataset.get('data_prefix') or {}).get('img')
    return None if prefix is None else os.path.join(dataset.get('data_root') or '', prefix)


def label_categories(cfg: Config, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Returns the COCO category (``id``, ``name``) of each label that a model predicts.

    mmdet numbers the labels in the order of the annotation file, whatever the order of ``classes``
    is. Without an annotation file of the test set, the ids are 1 to K in the order of ``classes``.

    Raises:
        ValueError: the annotation file lacks one of the classes, or has two of one name.
    """
    for dataset in plain_datasets(cfg.get('test_dataloader', {}).get('dataset', {})):
        file = annotation_file(dataset)
        if file is None or not os.path.isfile(file):
            continue
        found = [c for c in _file_categories(file) if c['name'] in classes]
        if sorted(c['name'] for c in found) != sorted(classes):
            raise ValueError(
                f"{file} has {len(found)} categories of the model's {len(classes)} classes "
                f'({", ".join(classes[:5])}{" ..." if len(classes) > 5 else ""}), expected one of '
                'each name: give the config that the model was trained with'
            )
        return found
    return [dict(id=number, name=name) for number, name in enumerate(classes, 1)]


def _file_categories(file: str) -> list[dict[str, Any]]:
    """Reads ``id`` and ``name`` of a file's categories in its order; the rest is not checked."""
    try:
        categories = json.loads(Path(file).read_bytes())['categories']
    except (ValueError, KeyError, TypeError):
        # An unlabelled file has categories alone; any other is named with all its problems.
        decode_ground_truth(file, file)
        raise
    listed = dict(images=[], annotations=[], categories=categories)
    checked = decode_ground_truth(listed, file)['categories']
    return [dict(id=c['id'], name=c['name']) for c in checked]
