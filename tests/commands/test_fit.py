"""From a trained model without mask scores to one with them, by one command."""

import json
import os
import resource

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, load_checkpoint

from msrcnn_plugin.apis import fit as apis
from msrcnn_plugin.apis.fit import detections, training
from msrcnn_plugin.apis.fit.scored_config import scored_config
from msrcnn_plugin.apis.fit.start import identity, trained_model, training_set
from msrcnn_plugin.commands.main import main

from ..own_project import tiny_cascade_cfg
from ..test_launchers import TORCHRUN, start
from ..tested_models import write_model
from ..tiny_set import add_copies, run_config, write_tiny_set

pytest.importorskip('sklearn', reason='scikit-learn, which fits calibrations, is not installed')


def write_set(folder, copies=3):
    """The tiny set's eight images, each so many times."""
    return add_copies(write_tiny_set(folder), copies)


def write_cascade(data, folder):
    """Config and checkpoint of an untrained Cascade Mask R-CNN."""
    cfg = run_config(data, folder / 'run', model=tiny_cascade_cfg())
    cfg.dump(folder / 'cascade.py')
    model = MODELS.build(cfg.model)
    torch.save(dict(state_dict=model.state_dict()), folder / 'cascade.pth')
    return folder / 'cascade.py', folder / 'cascade.pth'


def fit(model, out, *words):
    return main(['fit', *model, str(out), *map(str, words)])


@pytest.fixture(scope='module')
def plain(tmp_path_factory):
    """Config and checkpoint of a Mask R-CNN without mask scores."""
    init_default_scope('mmdet')
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp('plain')
    return write_model('mask_rcnn', write_set(folder / 'set'), folder)


@pytest.fixture(scope='module')
def fitted(plain, tmp_path_factory):
    """A folder with what a fit of two steps wrote."""
    folder = tmp_path_factory.mktemp('fitted')
    assert fit(plain, folder / 'scored.pth', '--steps', 2, '--json', folder / 'fit.json') == 0
    return folder


def test_the_fitted_model_predicts_mask_scores(fitted, tmp_path):
    cfg = Config.fromfile(fitted / 'scored.py')
    assert len((fitted / 'scored.py').read_text().splitlines()) < 50
    cfg.work_dir, cfg.load_from = str(tmp_path), str(fitted / 'scored.pth')
    runner = Runner.from_cfg(cfg)
    load_checkpoint(runner.model, cfg.load_from, strict=True)
    samples = runner.model.test_step(next(iter(runner.test_dataloader)))
    for sample in samples:
        found = sample.pred_instances
        assert len(found) == len(found.mask_ious) == len(found.mask_scores) > 0
        assert found.mask_ious.min() >= 0
        assert found.mask_scores.max() <= 1
        assert not torch.equal(found.mask_scores, found.scores * found.mask_ious)


def test_every_other_weight_is_the_same_to_the_bit(plain, fitted):
    before, after = (
        torch.load(file, weights_only=True)['state_dict']
        for file in (plain[1], fitted / 'scored.pth')
    )
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    added = {name.split('.')[1] for name in set(after) - set(before)}
    assert {'mask_iou_head', 'mask_rank_head'} <= added
    assert added <= {'mask_iou_head', 'mask_rank_head', 'mask_iou_calibration'}


def test_the_figures_are_those_of_the_model_on_the_images_held_out(fitted):
    record = json.loads((fitted / 'fit.json').read_text())
    facts, figures = record['fit'], record['models']['scored']['figures']
    assert (facts['detected_images'], facts['held_out_images']) == (24, 4)
    assert {'segm_mAP', 'segm_mAP_cls', 'segm_mAP_unique'} <= set(figures)
    assert [facts[name] for name in ('head_steps', 'half_0_steps', 'half_1_steps')] == [2, 1, 1]
    assert (fitted / 'scored.html').stat().st_size > 0


def test_an_interrupted_fit_goes_on(plain, fitted, tmp_path, monkeypatch):
    monkeypatch.setattr(detections, 'CHUNK', 8)
    monkeypatch.setattr(training, 'SAVED_AFTER', 0.0)
    calls = []

    def interrupt(function, after):
        def count(*args):
            calls.append(function)
            if calls.count(function) == after:
                raise KeyboardInterrupt
            return function(*args)

        return count

    with monkeypatch.context() as patched:
        patched.setattr(detections, '_detected', interrupt(detections._detected, 6))
        assert fit(plain, tmp_path / 'scored.pth', '--steps', 2) == 130
    kept = len(list((tmp_path / 'scored_cache').glob('*.pt')))
    assert kept == 1
    inputs = detections.Detections.inputs
    with monkeypatch.context() as patched:
        patched.setattr(detections.Detections, 'inputs', interrupt(inputs, 6))
        assert fit(plain, tmp_path / 'scored.pth', '--steps', 2) == 130
    assert fit(plain, tmp_path / 'scored.pth', '--steps', 2) == 0
    one, other = (
        torch.load(folder / 'scored.pth', weights_only=True)['state_dict']
        for folder in (fitted, tmp_path)
    )
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_two_processes_fit_what_one_does(plain, fitted, tmp_path):
    words = ['fit', *plain, tmp_path / 'scored.pth', '--steps', 2, '--json', tmp_path / 'fit.json']
    output = start(
        [*TORCHRUN, '--nproc_per_node=2', '-m', 'msrcnn_plugin', *words],
        tmp_path,
    )
    assert output.count('gain in mask AP') == 1
    one, two = (
        json.loads((folder / 'fit.json').read_text())['fit'] for folder in (fitted, tmp_path)
    )
    times = {'seconds', 'detecting_seconds'}
    assert {k: v for k, v in one.items() if k not in times} == {
        k: v for k, v in two.items() if k not in times
    }
    before, after = (
        torch.load(folder / 'scored.pth', weights_only=True)['state_dict']
        for folder in (fitted, tmp_path)
    )
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, atol=1e-3, rtol=1e-3)


def test_detections_of_other_weights_are_refused(plain, fitted, tmp_path, capsys):
    checkpoint = torch.load(plain[1], weights_only=True)
    checkpoint['state_dict']['backbone.conv1.weight'] += 1
    torch.save(checkpoint, tmp_path / 'other.pth')
    assert fit((plain[0], str(tmp_path / 'other.pth')), fitted / 'scored.pth', '--steps', 2) == 2
    assert 'other weights' in one_line(capsys)


def one_line(capsys):
    error = capsys.readouterr().err
    assert error.count('\n') == 1
    return error


def test_too_few_images_in_the_time_are_an_error_and_the_cache_is_kept(plain, tmp_path, capsys):
    out = tmp_path / 'scored.pth'
    assert fit(plain, out, '--minutes', 0.001) == 2
    assert '20 are needed' in one_line(capsys)
    assert list((tmp_path / 'scored_cache').glob('*.pt'))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(out='scored.txt'), '.pth'),
        (dict(option=('--held-out', 1)), 'held_out'),
        (dict(option=('--steps', 0)), 'steps'),
        (dict(config='model.roi_head.mask_head=None'), 'no RoI head with a mask branch'),
        (dict(config='model.roi_head.type=OwnHead'), 'OwnHead'),
        (dict(config='model.roi_head.bbox_head.num_classes=4'), 'does not fit the model'),
        (dict(config='train_dataloader.dataset.ann_file=none.json'), 'none.json'),
    ],
)
def test_bad_input_is_one_line_before_any_work(plain, tmp_path, capsys, change, message):
    words = change.get('option', ())
    if 'config' in change:
        words = ('--cfg-options', change['config'])
    assert fit(plain, tmp_path / change.get('out', 'scored.pth'), *words) == 2
    assert message in one_line(capsys)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ('copies', 'drop', 'message'), [(1, False, '8 images'), (3, True, 'no ann')]
)
def test_too_little_to_learn_from_is_an_error(tmp_path, capsys, copies, drop, message):
    data = write_set(tmp_path / 'set', copies)
    if drop:
        content = json.loads((data / 'annotations.json').read_text())
        (data / 'annotations.json').write_text(json.dumps({**content, 'annotations': []}))
    model = write_model('mask_rcnn', data, tmp_path / 'model')
    capsys.readouterr()
    assert fit(model, tmp_path / 'out' / 'scored.pth') == 2
    assert message in one_line(capsys)


@pytest.mark.filterwarnings('ignore:To copy construct from a tensor')  # mmdet's cascade
def test_a_cascade_is_fitted_from_python(tmp_path):
    init_default_scope('mmdet')
    data = write_set(tmp_path / 'set')
    config, checkpoint = write_cascade(data, tmp_path)
    fitted = apis.fit(config, checkpoint, tmp_path / 'scored.pth', steps=1, held_out=0.5)
    assert fitted.facts['held_out_images'] == 12
    assert {'mask_score', 'mask_iou'} <= set(fitted.result.matches.scores)
    assert Config.fromfile(fitted.config).model.roi_head.type == 'MSCascadeRoIHead'


@pytest.mark.parametrize('given', ['mask_rcnn.py', 'mask_rcnn.pth'])
def test_what_was_given_is_not_written_over(plain, tmp_path, capsys, given):
    kept = tmp_path / given
    kept.write_bytes(b'as it was')
    model = [kept, plain[1]] if kept.suffix == '.py' else [plain[0], kept]
    assert fit(map(str, model), tmp_path / 'mask_rcnn.pth') == 2
    assert f'{given} would be written over what was given' in one_line(capsys)
    assert kept.read_bytes() == b'as it was'
    assert list(tmp_path.iterdir()) == [kept]


def test_detections_of_a_part_of_the_images_are_not_those_of_all(plain, tmp_path):
    digests = []
    for options in ({}, {'train_dataloader.dataset.indices': 20}):
        cfg, _ = scored_config(plain[0], tmp_path / 'scored.py', options)
        weights = trained_model(cfg, plain[1])[1]
        digests.append(identity(cfg, weights, training_set(cfg)[1]))
    every, part = digests
    assert {name for name in every if every[name] != part[name]} == {'images'}


def test_more_chunks_than_files_that_may_be_open(tmp_path, monkeypatch):
    monkeypatch.setattr(detections, 'OPEN_FILES', 4)
    for number in range(100):
        detections._write(tmp_path / f'{number:05}', [], [np.full((1, 5), number, np.float16)])
    found = detections.Detections([], tmp_path, (1, 1, 1))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir('/proc/self/fd')) + 50, hard))
    try:
        feats, masks = found.inputs(torch.arange(100), torch.device('cpu'))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert feats.flatten().tolist() == [*range(100)]
    assert masks.shape == (100, 2, 2)
