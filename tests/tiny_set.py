"""A COCO set of eight 96 px images, with what careless code trips over, and a run on it."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
from mmengine.config import Config
from pycocotools import mask as rle_tools

from .conftest import disc, tiny_model_cfg

SIDE = 96
CLASSES = ('person', 'bicycle', 'car')


def write_tiny_set(folder, classes=CLASSES):
    """Write ``folder/images`` and ``folder/annotations.json``; images 0, 2 and 4 have objects.

    They are of the first three of ``classes``.
    """
    image = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
    (Path(folder) / 'images').mkdir(parents=True)
    images, annotations = [], []
    for i, objects in enumerate(_objects_of_images()):
        images.append(dict(id=i, file_name=f'{i}.jpg', height=SIDE, width=SIDE))
        cv2.imwrite(str(Path(folder) / 'images' / f'{i}.jpg'), image)
        annotations += [dict(an_object, image_id=i) for an_object in objects]
    for i, annotation in enumerate(annotations):
        annotation.update(id=i + 1, category_id=1 + i % len(CLASSES))
    categories = [dict(id=1 + i, name=name) for i, name in enumerate(classes)]
    content = dict(images=images, annotations=annotations, categories=categories)
    (Path(folder) / 'annotations.json').write_text(json.dumps(content))
    return Path(folder)


def add_copies(folder, copies):
    """Have each image of a tiny set so many times in all."""
    file = folder / 'annotations.json'
    content = json.loads(file.read_text())
    count = len(content['images']), len(content['annotations'])
    for copy in range(1, copies):
        for image in content['images'][: count[0]]:
            image_id = image['id'] + copy * count[0]
            shutil.copy(folder / 'images' / image['file_name'], folder / f'images/{image_id}.jpg')
            content['images'].append({**image, 'id': image_id, 'file_name': f'{image_id}.jpg'})
        for annotation in content['annotations'][: count[1]]:
            image_id = annotation['image_id'] + copy * count[0]
            annotation = {**annotation, 'id': annotation['id'] + copy * count[1]}
            content['annotations'].append({**annotation, 'image_id': image_id})
    file.write_text(json.dumps(content))
    return folder


def _objects_of_images():
    crowd = _crowd(disc(SIDE, SIDE, 60, 30, 25))
    at_the_border = _polygon([(86, 30), (SIDE, 30), (SIDE, 60), (86, 60)])
    return [
        [_rle(disc(SIDE, SIDE, 30, 40, 20)), _polygon([(50, 50), (90, 55), (60, 90)])],
        [],
        [at_the_border, _rle(disc(SIDE, SIDE, 40, 50, 30))],
        [],
        [crowd, _without_a_pixel(), _polygon([(5, 5), (40, 8), (20, 44)])],
        [],
        [],
        [],
    ]  # fmt: skip


def _rle(mask):
    rle = rle_tools.encode(np.asfortranarray(mask))
    box, area = rle_tools.toBbox(rle).tolist(), float(rle_tools.area(rle))
    return dict(
        segmentation=dict(rle, counts=rle['counts'].decode()), bbox=box, area=area, iscrowd=0
    )


def _crowd(mask):
    return dict(_rle(mask), iscrowd=1)


def _polygon(points):
    points = np.array(points, dtype=float)
    corner, far = points.min(0), points.max(0)
    return dict(
        segmentation=[points.flatten().tolist()],
        bbox=[*corner, *(far - corner)],
        area=float(np.prod(far - corner)),
        iscrowd=0,
    )


def _without_a_pixel():
    # Box and area are those of an object: mmdet's dataset keeps it.
    return dict(_rle(np.zeros((SIDE, SIDE), np.uint8)), bbox=[50, 10, 20, 30], area=300.0)


def run_config(data, work_dir, *, pipeline=(), epochs=1, batch_size=2, **changes):
    """A run of a tiny MS R-CNN on the set at ``data``, in the order of its images.

    ``pipeline`` are transforms put before the packing, ``changes`` top-level keys.
    """
    load = [
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    ]

    def loader(transforms):
        return dict(
            batch_size=batch_size,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(
                type='CocoDataset',
                metainfo=dict(classes=CLASSES),
                data_root=str(data),
                ann_file='annotations.json',
                data_prefix=dict(img='images/'),
                filter_cfg=dict(filter_empty_gt=False),
                pipeline=[*load, *transforms],
            ),
        )

    resize = dict(type='Resize', scale=(SIDE, SIDE), keep_ratio=True)
    keys = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')
    cfg = dict(
        default_scope='mmdet',
        custom_imports=dict(imports=['msrcnn_plugin'], allow_failed_imports=False),
        # Runs of one name in one second and process share their log.
        experiment_name=str(work_dir),
        work_dir=str(work_dir),
        log_level='WARNING',
        model=tiny_model_cfg(),
        train_dataloader=loader([resize, *pipeline, dict(type='PackDetInputs')]),
        train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=epochs),
        optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01)),
        test_dataloader=loader([resize, dict(type='PackDetInputs', meta_keys=keys)]),
        test_cfg=dict(type='TestLoop'),
        test_evaluator=dict(
            type='CocoMetric',
            ann_file=f'{data}/annotations.json',
            metric=['bbox', 'segm'],
            outfile_prefix=f'{work_dir}/results',
        ),
        default_hooks=dict(logger=dict(type='LoggerHook', interval=1)),
        randomness=dict(seed=0),
    )
    return Config({**cfg, **changes})
