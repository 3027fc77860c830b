"""A few images laid out as `data/coco`, where mmdet's configs look for COCO."""

import json
import os
import shutil
from pathlib import Path

from mmdet.datasets import CocoDataset

from .tiny_set import write_tiny_set

REPOSITORY = Path(__file__).resolve().parent.parent
SPLITS = ('train', 'val')


def find_coco_tiny():
    """The photographs `coco_tiny`, or None.

    They lie in the folder MSRCNN_TEST_DATA, or in `shared/data` beside the checkout.
    """
    beside = REPOSITORY.parent / 'shared' / 'data'
    found = Path(os.environ.get('MSRCNN_TEST_DATA', beside)) / 'coco_tiny'
    return found if found.is_dir() else None


def lay_out_coco(folder):
    """Fill ``folder/data/coco``, with photographs if they are found, else with the tests' set."""
    coco_tiny = find_coco_tiny()
    if coco_tiny is None:
        made = write_tiny_set(Path(folder) / 'made', CocoDataset.METAINFO['classes'])
        sources = [(made / 'annotations.json', made / 'images')] * 2
    else:
        annotations = coco_tiny / 'annotations'
        sources = [(annotations / f'instances_{split}.json', coco_tiny / split) for split in SPLITS]
    for split, (annotation_file, images) in zip(SPLITS, sources):
        _lay_out(json.loads(annotation_file.read_text()), images, folder, split, count=6)


def _lay_out(content, images, folder, split, count):
    coco = Path(folder) / 'data' / 'coco'
    (coco / f'{split}2017').mkdir(parents=True)
    (coco / 'annotations').mkdir(exist_ok=True)
    chosen = content['images'][:count]
    for image in chosen:
        shutil.copy(images / image['file_name'], coco / f'{split}2017')
    ids = {image['id'] for image in chosen}
    annotations = [found for found in content['annotations'] if found['image_id'] in ids]
    content = dict(content, images=chosen, annotations=annotations)
    (coco / 'annotations' / f'instances_{split}2017.json').write_text(json.dumps(content))
