"""`msrcnn init`: what it chooses, the config that it writes, and that this trains and tests."""

import json

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from msrcnn_plugin.commands import own_config
from msrcnn_plugin.commands.main import main
from msrcnn_plugin.commands.own_config import Choices, choose, render
from msrcnn_plugin.evaluation.coco_files import read_ground_truth

from ..conftest import tiny_model_cfg
from ..tiny_set import write_tiny_set

TEMPLATE = own_config.TEMPLATE
PLACEHOLDER = Choices(
    classes=('class_1', 'class_2'),
    scale=(1333, 800),
    anchor_scales=(8,),
    anchor_ratios=(0.5, 1.0, 2.0),
    max_per_img=100,
    words=('Change the three lines below. `msrcnn init` writes such a file for your data.',),
)


def chosen(boxes, size=(1000, 500), images=1):
    """The choices for boxes (width, height), all in the first image."""
    truth = dict(
        images=[dict(id=i + 1, width=size[0], height=size[1]) for i in range(images)],
        categories=[dict(id=1, name='thing')],
        annotations=[
            dict(id=i, image_id=1, category_id=1, segmentation=[[0, 0, w, 0, w, h, 0, h]])
            for i, (w, h) in enumerate(boxes, 1)
        ],
    )
    return choose(read_ground_truth(truth), ['thing'])


@pytest.mark.parametrize(
    ('sides', 'scales'), [([32, 400], (8,)), ([17, 40], (4,)), ([32, 1000], (8, 16))]
)
def test_anchors_begin_at_small_boxes_and_reach_large_ones(sides, scales):
    small, large = sides
    choices = chosen([(small, small)] * 5 + [(large, large)] * 5, size=(1300, 800))
    assert choices.scale == (1300, 800)
    assert choices.anchor_scales == scales
    assert choices.anchor_ratios == (0.5, 1.0, 2.0)


def test_small_objects_are_enlarged_as_far_as_mmdet_shows_images():
    assert chosen([(12, 12)], size=(300, 200)).scale == (400, 267)
    assert chosen([(4, 4)], size=(300, 200)).scale == (1200, 800)
    assert chosen([(90, 90)], size=(4000, 3000)).scale == (1067, 800)


def test_long_boxes_and_crowded_images_are_cared_for():
    choices = chosen([(20, 120)] * 130)
    assert choices.anchor_ratios == (0.5, 1.0, 6.0)
    assert choices.max_per_img == 200


def test_the_template_is_what_the_command_writes():
    found = render(PLACEHOLDER, ('train.json', 'images/'), ('val.json', 'images/'))
    assert TEMPLATE.read_text() == found


def test_each_choice_is_in_the_config():
    choices = Choices(('cell', 'debris', 'x'), (640, 512), (2, 4), (0.25, 1.0), 300, ('A word.',))
    text = render(choices, ('learn.json', 'learn/'), ('judge.json', 'judge/'))
    assert text.splitlines()[1] == '# A word.'
    cfg = Config.fromstring(text, '.py')
    sets = (cfg.train_dataloader.dataset, cfg.val_dataloader.dataset)
    for of_set, name in zip(sets, ('learn', 'judge')):
        assert of_set.ann_file == f'{name}.json'
        assert of_set.data_prefix.img == f'{name}/'
        assert of_set.metainfo.classes == choices.classes
        (resize,) = (step for step in of_set.pipeline if step.type == 'Resize')
        assert resize.scale == choices.scale
    assert cfg.val_evaluator.ann_file == 'judge.json'
    heads = (cfg.model.roi_head.bbox_head, cfg.model.roi_head.mask_head)
    assert [head.num_classes for head in heads] == [3, 3]
    anchors = cfg.model.rpn_head.anchor_generator
    assert (anchors.scales, anchors.ratios) == ([2, 4], [0.25, 1.0])
    assert cfg.model.test_cfg.rcnn.max_per_img == 300


@pytest.fixture
def data(tmp_path):
    return write_tiny_set(tmp_path / 'set', ('one', 'two', 'three'))


def test_writes_a_config_that_trains_and_tests(data, tmp_path, capsys):
    out, figures = tmp_path / 'mine.py', tmp_path / 'choices.json'
    words = [str(data / 'annotations.json'), str(data / 'images')]
    assert main(['init', *words, '--out', str(out), '--json', str(figures)]) == 0
    printed = capsys.readouterr().out
    assert '8 images, 6 objects, 3 classes.' in printed
    assert 'give --val' in printed
    assert json.loads(figures.read_text())['classes'] == ['one', 'two', 'three']
    cfg = Config.fromfile(out)
    assert cfg.model.roi_head.mask_head.num_classes == 3
    assert cfg.model.rpn_head.anchor_generator.scales == [5]
    wanted = cfg.model.roi_head
    cfg.model = tiny_model_cfg(mask_iou_sampler=wanted.mask_iou_sampler)
    cfg.model.roi_head.mask_iou_head.update(
        loss_iou=wanted.mask_iou_head.loss_iou, count_zero_targets=True
    )
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        cfg[name].update(num_workers=0, persistent_workers=False)
    cfg.load_from, cfg.train_cfg.max_epochs = None, 1
    cfg.work_dir, cfg.experiment_name = str(tmp_path / 'run'), 'init'
    cfg.test_evaluator.outfile_prefix = str(tmp_path / 'results')
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.iter == 4
    losses = runner.message_hub.get_scalar('train/loss_mask_iou').data[0]
    assert np.isfinite(losses).all()
    assert losses.any()
    assert {'coco/segm_mAP', 'coco/segm_mAP_cls'} <= set(runner.test())


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        (lambda coco: coco.update(annotations=[]), 'no object with an area'),
        (lambda coco: coco['images'][1].update(width=50), 'its annotations are those of'),
        (lambda coco: coco['images'][0].update(file_name='none.jpg'), 'is missing'),
    ],
)
def test_bad_input_is_refused_in_one_line(data, tmp_path, capsys, change, said):
    file = data / 'annotations.json'
    coco = json.loads(file.read_text())
    change(coco)
    file.write_text(json.dumps(coco))
    out = tmp_path / 'mine.py'
    assert main(['init', str(file), str(data / 'images'), '--out', str(out)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count('\n') == 1
    assert not out.exists()


def test_a_test_set_of_other_classes_is_refused_and_so_is_an_existing_file(data, tmp_path, capsys):
    (data / 'other.json').write_text(
        (data / 'annotations.json').read_text().replace('"two"', '"four"')
    )
    words = ['init', str(data / 'annotations.json'), str(data / 'images')]
    out = ['--out', str(tmp_path / 'mine.py')]
    assert main([*words, '--val', str(data / 'other.json'), str(data / 'images'), *out]) == 2
    assert 'the same ones in the same order' in capsys.readouterr().err
    (tmp_path / 'mine.py').write_text('mine')
    assert main([*words, *out]) == 2
    assert 'exists' in capsys.readouterr().err
