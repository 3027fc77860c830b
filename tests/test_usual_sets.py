"""LVIS v1 and Cityscapes: their configs on tiny sets in their own formats, by their own metrics."""

import json
import logging
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmdet.registry import METRICS
from mmengine.config import Config
from mmengine.runner import Runner
from PIL import Image
from pycocotools import mask as mask_utils

from msrcnn_plugin.evaluation import evaluate_coco
from msrcnn_plugin.evaluation.cityscapes import cityscapes_ap, cityscapes_ground_truth
from msrcnn_plugin.models.emitted_masks import mask_boxes

from .conftest import disc
from .models.hosts import NARROW, narrow

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
SIDE = 96
DISCS = [(30, 40, 20), (64, 60, 24), (20, 76, 12)]
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def rle_of(mask):
    rle = mask_utils.encode(np.asfortranarray(mask.astype(np.uint8)))
    return dict(rle, counts=rle['counts'].decode())


def write_image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
    cv2.imwrite(str(path), pixels)


def innermost(dataset):
    return innermost(dataset.dataset) if 'dataset' in dataset else dataset


def tiny_run(name, folder, data, ann_file, img, classes):
    """The config's run on the set at ``data``: its data sets, loss and metrics, a tiny model."""
    cfg = Config.fromfile(CONFIGS / name)
    narrow(cfg.model, NARROW)
    for part in (cfg.model.roi_head.bbox_head, cfg.model.roi_head.mask_head):
        part.num_classes = classes
    if cfg.model.roi_head.bbox_head.loss_cls.type == 'SeesawLoss':
        cfg.model.roi_head.bbox_head.loss_cls.num_classes = classes
    cfg.model.roi_head.mask_iou_head.update(conv_out_channels=16, fc_out_channels=32)
    cfg.model.backbone.update(depth=18, base_channels=8, init_cfg=None)
    cfg.model.neck.in_channels = [8, 16, 32, 64]
    cfg.model.train_cfg.rpn_proposal.max_per_img = cfg.model.test_cfg.rpn.max_per_img = 20
    for loader in LOADERS:
        cfg[loader].update(num_workers=0, persistent_workers=False)
        dataset = innermost(cfg[loader].dataset)
        dataset.update(data_root=str(data), ann_file=ann_file, data_prefix=dict(img=img))
        for transform in dataset.pipeline:
            if 'Resize' in transform.type:
                resize = dict(type='Resize', scale=(SIDE, SIDE), keep_ratio=True)
                transform.clear()
                transform.update(resize)
    cfg.train_cfg.update(max_epochs=1, val_interval=1)
    cfg.load_from, cfg.work_dir, cfg.experiment_name = None, str(folder / 'run'), str(folder)
    return cfg


def found_in(truth, model_labels, seed=0):
    """Predictions of each image as the metrics take them: shifted objects, scores by chance."""
    rng = np.random.default_rng(seed)
    samples = []
    for image in truth['images']:
        size = image['height'], image['width']
        masks, labels = [], []
        for gt in truth['annotations']:
            if gt['image_id'] == image['id']:
                mask = mask_utils.decode(gt['segmentation'])
                for shift in rng.integers(-6, 7, 2):
                    masks.append(np.roll(mask, shift, axis=1).astype(bool))
                    labels.append(model_labels[gt['category_id']])
        count = len(masks)
        masks = torch.from_numpy(np.array(masks).reshape(-1, *size))
        pred = dict(
            bboxes=mask_boxes(masks),  # whose area LVIS takes
            scores=torch.from_numpy(rng.random(count)),
            mask_scores=torch.from_numpy(rng.random(count).round(4)),
            labels=torch.tensor(labels, dtype=torch.long),
            masks=masks,
        )
        samples.append(
            dict(
                img_id=image['id'], ori_shape=size, img_path=image.get('path'), pred_instances=pred
            )
        )
    return samples


def learned(runner):
    losses = runner.message_hub.get_scalar('train/loss_mask_iou').data[0]
    return len(losses) > 0 and np.isfinite(losses).all() and losses.any()


# --- LVIS ---


@pytest.fixture
def lvis_set(tmp_path):
    images, annotations = [], []
    for i in range(4):
        url = f'http://images.cocodataset.org/train2017/{i}.jpg'
        write_image(tmp_path / 'lvis' / 'train2017' / f'{i}.jpg')
        lists = dict(neg_category_ids=[3], not_exhaustive_category_ids=[])
        images.append(dict(id=i + 1, height=SIDE, width=SIDE, coco_url=url, **lists))
        for number, place in enumerate(DISCS[: 1 + i % 3]):
            rle = rle_of(disc(SIDE, SIDE, *place))
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=i + 1,
                    category_id=1 + number % 2,
                    segmentation=rle,
                    area=float(mask_utils.area(rle)),
                    bbox=mask_utils.toBbox(rle).tolist(),
                )
            )
    categories = [dict(id=i, name=f'c{i}', frequency=f) for i, f in enumerate('rcf', 1)]
    truth = dict(images=images, annotations=annotations, categories=categories)
    (tmp_path / 'lvis' / 'lvis_v1.json').write_text(json.dumps(truth))
    return tmp_path / 'lvis', truth


@pytest.fixture
def lvis(monkeypatch):
    monkeypatch.setattr(np, 'float', float, raising=False)  # which it still asks numpy for
    monkeypatch.setattr(logging.Logger, 'warn', logging.Logger.warning, raising=False)
    return pytest.importorskip('lvis', reason='the evaluator of LVIS is not installed')


def test_lvis_trains_and_tests_and_its_metric_ranks_by_mask_score(lvis, lvis_set, tmp_path):
    data, truth = lvis_set
    name = 'lvis/ms_rcnn_r50_fpn_2x.py'
    cfg = tiny_run(name, tmp_path, data, 'lvis_v1.json', '', classes=3)
    assert cfg.train_dataloader.dataset.type == 'ClassBalancedDataset'
    for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
        evaluator.update(ann_file=str(data / 'lvis_v1.json'), outfile_prefix=f'{tmp_path}/found')
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert learned(runner)
    metric = METRICS.build(dict(cfg.test_evaluator, metric=['segm']))
    metric.dataset_meta = dict(classes=('c1', 'c2', 'c3'))
    samples = found_in(truth, {1: 0, 2: 1, 3: 2})
    metric.process({}, samples)
    figures = metric.evaluate(len(samples))
    results = json.loads((tmp_path / 'found.segm.json').read_text())
    scores = np.concatenate([s['pred_instances']['mask_scores'].numpy() for s in samples])
    assert [result['score'] for result in results] == pytest.approx(scores.tolist())
    ours = evaluate_coco(truth, results).figures
    assert 0 < ours['segm_mAP_cls'] < 1
    for theirs, suffix in (('AP', ''), ('AP50', '_50'), ('APr', '_r'), ('APc', '_c')):
        assert figures[f'lvis/segm_{theirs}'] == pytest.approx(
            ours[f'segm_mAP_cls{suffix}'], abs=6e-4
        )  # mmdet keeps three digits


# --- Cityscapes ---

CAR, PERSON, ROAD = 26, 24, 7


@pytest.fixture
def cityscapes_set(tmp_path):
    root = tmp_path / 'cityscapes'
    for i in range(4):
        name = f'town_000000_{i:06}'
        write_image(root / 'leftImg8bit' / 'val' / 'town' / f'{name}_leftImg8bit.png')
        ids = np.full((SIDE, SIDE), ROAD, dtype=np.uint16)
        for number, place in enumerate(DISCS[: 1 + i % 3]):
            ids[disc(SIDE, SIDE, *place) > 0] = 1000 * (CAR, PERSON)[number % 2] + number
        path = root / 'gtFine' / 'val' / 'town' / f'{name}_gtFine_instanceIds.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(ids).save(path)
    truth = cityscapes_ground_truth(root / 'gtFine' / 'val')
    for image in truth['images']:
        image['file_name'] = f'town/{image["id"]}_leftImg8bit.png'
        image['path'] = str(root / 'leftImg8bit' / 'val' / image['file_name'])
    (root / 'instances.json').write_text(json.dumps(truth))
    return root, truth


@pytest.mark.filterwarnings('ignore')  # of the scripts
def test_cityscapes_trains_and_tests_and_its_metric_ranks_by_mask_score(
    cityscapes_set, tmp_path, monkeypatch
):
    monkeypatch.setattr(np, 'in1d', np.isin, raising=False)  # which they still ask numpy for
    monkeypatch.setattr(sys, 'argv', ['test'])
    pytest.importorskip('cityscapesscripts', reason='cityscapesscripts is not installed')
    root, truth = cityscapes_set
    name = 'cityscapes/ms_rcnn_r50_fpn.py'
    cfg = tiny_run(name, tmp_path, root, 'instances.json', 'leftImg8bit/val/', classes=8)
    for coco, own in (cfg.val_evaluator, cfg.test_evaluator):
        assert coco.type == 'MaskScoringMetric'
        coco.ann_file = str(root / 'instances.json')
        own.update(seg_prefix=str(root / 'gtFine' / 'val'), outfile_prefix=str(tmp_path / 'png'))
    cfg.val_evaluator = cfg.val_evaluator[:1]  # the test has both
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert learned(runner)
    classes = runner.test_dataloader.dataset.metainfo['classes']
    metric = METRICS.build(cfg.test_evaluator[1])
    metric.dataset_meta = dict(classes=classes)
    names = {category['id']: category['name'] for category in truth['categories']}
    samples = found_in(truth, {number: classes.index(name) for number, name in names.items()})
    metric.process({}, samples)
    figures = metric.evaluate(len(samples))
    numbers = {classes.index(name): number for number, name in names.items()}
    results = [
        dict(
            image_id=sample['img_id'],
            category_id=numbers[int(label)],
            segmentation=rle_of(mask.numpy()),
            score=float(score),
        )
        for sample in samples
        for label, mask, score in zip(
            *(sample['pred_instances'][key] for key in ('labels', 'masks', 'mask_scores'))
        )
    ]
    ours = cityscapes_ap(root / 'gtFine' / 'val', results)['score']
    assert 0 < ours['AP'] < 1
    assert figures['cityscapes/mAP'] == pytest.approx(ours['AP'], abs=1e-6)
    assert figures['cityscapes/AP@50'] == pytest.approx(ours['AP50'], abs=1e-6)
