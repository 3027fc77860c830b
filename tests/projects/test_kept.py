"""The studies on what a fit keeps: the suppression by hand, and both from files to tables."""

import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from msrcnn_plugin.apis import evaluate_checkpoint
from msrcnn_plugin.apis.fit import fit
from msrcnn_plugin.apis.fit.training import predict_logits
from projects.ablations import cached_heads, kept, tables
from projects.ablations.records import read_records
from projects.ablations.table import CACHED_HEADS, HEAD, OURS, SAMPLER

from ..conftest import tiny_model_cfg
from ..tested_models import write_model
from ..tiny_set import add_copies, write_tiny_set

pytest.importorskip('sklearn', reason='scikit-learn, which fits calibrations, is not installed')
pytest.importorskip('lightgbm', reason='LightGBM, which trains the trees, is not installed')
comparison = pytest.importorskip('projects.ablations.comparison')

# Three masks: the second overlaps the first by 0.6, the third the second by 0.5.
OVERLAP = torch.tensor([[[1.0, 0.6, 0.0], [0.6, 1.0, 0.5], [0.0, 0.5, 1.0]]])
SCORES = torch.tensor([[0.9, 0.8, 0.7]])


@pytest.mark.parametrize(
    ('decay', 'setting', 'expected'),
    [
        # The first removes the second, which then removes nothing.
        ('mask NMS', 0.4, [0.9, 0.0, 0.7]),
        ('mask NMS', 0.7, [0.9, 0.8, 0.7]),
        # The second falls to 0.32, below the third, which lowers it again.
        ('linear Soft-NMS', 0.4, [0.9, 0.8 * 0.4 * 0.5, 0.7]),
        ('linear Soft-NMS', 0.55, [0.9, 0.8 * 0.4, 0.7]),
        ('Gaussian Soft-NMS', 0.5, [0.9, 0.8 * 0.486752 * 0.606531, 0.7]),
    ],
)
def test_a_detection_is_lowered_by_those_that_rank_before_it(decay, setting, expected):
    lowered = comparison.decayed(SCORES, OVERLAP, decay, setting)
    torch.testing.assert_close(lowered, torch.tensor([expected]))


def test_order_and_padding_do_not_matter():
    order = torch.tensor([2, 0, 1])
    scores = torch.nn.functional.pad(SCORES[:, order], (0, 2))
    overlap = torch.nn.functional.pad(OVERLAP[:, order][..., order], (0, 2, 0, 2))
    lowered = comparison.decayed(scores, overlap, 'linear Soft-NMS', 0.4)
    torch.testing.assert_close(lowered, torch.tensor([[0.7, 0.9, 0.16, 0.0, 0.0]]))
    assert comparison.decayed(scores[:0], overlap[:0], 'mask NMS', 0.5).shape == (0, 5)


def test_masks_of_other_classes_and_images_do_not_compete(tmp_path):
    names = comparison.PAIRS
    pairs = torch.zeros(3, 3, len(names))
    pairs[..., names.index('mask_iou')] = OVERLAP[0]
    pairs[..., names.index('same_class')] = torch.tensor([[1, 0, 0], [0, 1, 1], [0, 1, 1.0]])
    images = [
        dict(scores=SCORES[0], pairs=pairs.half()),
        dict(scores=torch.zeros(0), pairs=pairs[:0, :0].half()),
        dict(scores=torch.tensor([0.6]), pairs=pairs[:1, :1].half()),
    ]
    found = comparison.Detections(images, tmp_path, (1, 1, 1))
    scores = torch.tensor([0.9, 0.8, 0.7, 0.6])
    lowered = comparison.suppressed(found, scores, 'mask NMS', 0.4)
    torch.testing.assert_close(lowered, torch.tensor([0.9, 0.8, 0.0, 0.6]))


@pytest.fixture(scope='module')
def fitted(tmp_path_factory):
    """Config, checkpoint and fit of a tiny model; its validation images are the training images."""
    init_default_scope('mmdet')
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp('kept')
    model = write_model('mask_rcnn', add_copies(write_tiny_set(folder / 'set'), 3), folder)
    fit(*model, folder / 'scored.pth', steps=2)
    return *model, folder / 'scored.pth'


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Calls a study; its records."""
    monkeypatch.setattr(kept, 'RESAMPLES', 3)

    def run(study, *words):
        words = [*words, '--results', tmp_path / 'results.json']
        monkeypatch.setattr(sys, 'argv', ['study.py', *map(str, words)])
        assert study.main() == 0
        return read_records(tmp_path / 'results.json')

    return run


@pytest.fixture
def head_alone(fitted, tmp_path):
    """A checkpoint of another head on the same trunk, as mmengine's runner saves one."""
    cfg = Config(dict(model=tiny_model_cfg()))
    model = MODELS.build(cfg.model)
    model.init_weights()
    weights = torch.load(fitted[1], weights_only=True)['state_dict']
    content = dict(meta=dict(cfg=cfg.pretty_text), state_dict={**model.state_dict(), **weights})
    torch.save(content, tmp_path / 'head.pth')
    return tmp_path / 'head.pth', model.roi_head.mask_iou_head


def test_every_score_ranks_the_same_masks(fitted, head_alone, run, monkeypatch):
    monkeypatch.setattr(comparison, 'SETTINGS', (0.5, 2.0))
    words = [*fitted, '--study', 'scores_nuclei', '--title', 'Tiny', '--paper', head_alone[0]]
    records = run(comparison, *words)
    assert len(run(comparison, *words)) == len(records) == 22
    found = {record['run']: record for record in records}
    ap = {name: record['at_300']['ap'] for name, record in found.items()}
    predict = ('paper', 'head', 'divided_head', 'trees_iou', 'rank_iou')
    for name, record in found.items():
        gain = record['at_300']['gain']['gain']
        assert gain == pytest.approx(ap[name] - ap['score'], abs=1e-9)
        assert ('figures' in record) == (name in predict)
        assert ('setting' in record) == ('NMS' in name)
    assert max(ap, key=ap.get) in ('oracle', 'ceiling')
    shown = tables.markdown(tables.TABLES['comparison'], records)
    assert '| score | mask AP |' in shown
    assert '| U, Gaussian Soft-NMS |' in shown


def test_predictions_from_the_cache_are_those_of_the_model(fitted, tmp_path):
    found = kept.read_kept(fitted[2], fitted[1])
    test = found.test.detections
    ours = comparison.predictions(found, test)
    ours['stability'] = comparison.stability(test)
    model = evaluate_checkpoint(fitted[2].with_suffix('.py'), fitted[2], tmp_path)
    names = dict(rank_iou='uncalibrated_mask_iou', unique='mask_score', stability='mask_stability')
    for name, theirs in {'score': 'score', **names}.items():
        # The cache has half precision.
        expected = model.result.matches.scores[theirs]
        np.testing.assert_allclose(found.test.ranking(ours[name]), expected, atol=0.01)


def test_a_head_of_another_checkpoint_is_read_and_one_of_another_trunk_refused(
    fitted, head_alone, tmp_path
):
    path, head = head_alone
    found = kept.read_kept(fitted[2])
    read = comparison.read_head(found, path)
    assert all(torch.equal(value, read.state_dict()[k]) for k, value in head.state_dict().items())
    content = torch.load(path, weights_only=True)
    content['state_dict']['neck.fpn_convs.0.conv.bias'] += 1
    torch.save(content, path)
    with pytest.raises(ValueError, match=r'different neck\.fpn_convs\.0'):
        comparison.read_head(found, path)


def test_trees_learn_from_ious_of_heads_that_have_not_seen_the_image(fitted, tmp_path):
    found = kept.read_kept(fitted[2])
    logits = comparison.unseen_logits(found)
    image, judged = found.train.detections.image, len(found.held_out.detections.images)
    places = torch.from_numpy(image == judged).nonzero()[:, 0]  # of half 0
    (file,) = found.cache.glob('half_1-*.pth')
    head = found.owner.mask_iou_head
    head.load_state_dict(torch.load(file, weights_only=True)['module'])
    expected = predict_logits(head, found.train.detections, places)
    torch.testing.assert_close(logits[places], expected)
    copied = shutil.copytree(found.cache, tmp_path / 'cache')
    shutil.copy(file, copied / f'{file.stem}0.pth')
    with pytest.raises(ValueError, match='of 2 fits'):
        comparison.unseen_logits(replace(found, cache=copied))


def test_rows_of_the_study_of_the_head_learn_from_the_cache(fitted, run):
    words = ['loss_l2', 'drawn_evenly', '--fitted', fitted[2], '--steps', 2, '--seed', 0]
    records = run(cached_heads, *words, 1)
    runs = [('loss_l2', 0), ('loss_l2', 1), ('drawn_evenly', 0), ('drawn_evenly', 1)]
    assert [(record['run'], record['seed']) for record in records] == runs
    assert len({record['figures']['mask_iou_mae'] for record in records}) == 4
    figures = run(cached_heads, *words)[-2]['figures']
    assert figures == records[0]['figures']  # the training's state is kept
    shown = tables.markdown(tables.TABLES['cached-heads'], records)
    assert '| `loss_l2` | L2, linear |' in shown
    assert 'seeds 2' in shown


def test_rows_differ_in_what_a_training_on_kept_detections_reads(run, capsys):
    """The head, its loss, the draw: a change to anything else would have no effect."""
    for row in CACHED_HEADS.rows:
        assert row.base == OURS, row.name
        for name in row.changes:
            assert name.startswith(f'{HEAD}.') or name == f'{SAMPLER}.sampler.score_power', name
    with pytest.raises(SystemExit, match='2'):
        run(cached_heads, 'paper', '--fitted', 'scored.pth')
    assert 'no row paper' in capsys.readouterr().err


def test_what_is_no_fit_is_refused(fitted, tmp_path):
    for file in (fitted[0], fitted[2], fitted[2].with_suffix('.py')):
        shutil.copy(file, tmp_path)
    with pytest.raises(ValueError, match='with its scored_cache beside it'):
        kept.read_kept(tmp_path / 'scored.pth')
    shutil.copytree(fitted[2].with_name('scored_cache'), tmp_path / 'scored_cache')
    next((tmp_path / 'scored_cache').glob('*.pt')).unlink()
    with pytest.raises(ValueError, match='expected 24'):
        kept.read_kept(tmp_path / 'scored.pth')
