import json
import math
import sys

import numpy as np
import pytest
import torch
from mmdet.structures.bbox import bbox_overlaps
from mmengine.logging import MMLogger
from rich.console import Console

from tools import benchmark
from tools.benchmarking import goals, run, scene, tables
from tools.benchmarking.cases import Predict
from tools.benchmarking.measuring import interleave, peak_of_call, quartiles, ratio, slope, summary
from tools.benchmarking.models import CASES, build_roi_head
from tools.benchmarking.scene import make_scene
from tools.benchmarking.suites import (
    DEFAULT_SUITES,
    Settings,
    scaling_settings,
    sections_of,
)

OTHER_CASES = dict(head_only=('full', 'head_only'), rankings=('one_evaluation', 'four_rankings'))
TINY = Settings(image_size=(96, 128), objects=4, positives=6, rounds=2, small=True)


@pytest.fixture(autouse=True)
def own_loggers(monkeypatch):
    """The tool silences mmengine's logger, in here for a test only."""
    monkeypatch.setattr(MMLogger, '_instance_dict', MMLogger._instance_dict.copy())


@pytest.fixture(scope='module')
def tiny_scene():
    return TINY.scene(2)


# --- scenes


@pytest.fixture(scope='module')
def coco_like():
    return make_scene((800, 1333), 20, 128)


def test_a_scene_has_the_sizes_asked_for(coco_like):
    assert coco_like.padded_size == (800, 1344)
    assert len(coco_like.images) == 2
    for image in coco_like.images:
        assert image.bitmaps.shape == (20, 800, 1344)
        assert image.bitmaps.dtype == np.uint8
        assert image.bitmaps.flags.c_contiguous
        assert set(np.unique(image.bitmaps)) == {0, 1}
        assert image.boxes.shape == (20, 4)
        assert image.positives.shape == (128, 4)
        assert image.background.shape == (872, 4)


def test_object_areas_are_shared_out_as_cocos():
    areas = scene.object_areas(100, (480, 640), np.random.default_rng(0))
    small, medium = (areas < 32**2).sum(), ((areas >= 32**2) & (areas < 96**2)).sum()
    assert (small, medium, 100 - small - medium) == (41, 34, 25)


def test_areas_grow_with_the_image():
    small = scene.object_areas(10, (480, 640), np.random.default_rng(0))
    large = scene.object_areas(10, (960, 1280), np.random.default_rng(0))
    np.testing.assert_allclose(large, 4 * small)


def test_outlines_have_the_area_asked_for_and_concavities():
    rng = np.random.default_rng(0)
    outlines = [scene.blob(5000, rng) for _ in range(20)]
    for points in outlines:
        assert scene.polygon_area(points) == pytest.approx(5000)
    for points in outlines:
        edges = np.roll(points, -1, 0) - points
        following = np.roll(edges, -1, 0)
        turns = edges[:, 0] * following[:, 1] - edges[:, 1] * following[:, 0]
        assert (turns > 0).any()
        assert (turns < 0).any()


def test_bitmaps_polygons_and_boxes_are_of_the_same_objects(coco_like):
    for image in coco_like.images:
        for bitmap, parts, box in zip(image.bitmaps, image.polygons, image.boxes.numpy()):
            area = sum(scene.polygon_area(part.reshape(-1, 2)) for part in parts)
            assert bitmap.sum() == pytest.approx(area, rel=0.1, abs=10)
            rows, columns = np.nonzero(bitmap)
            drawn = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            # Tips thinner than a pixel are not drawn.
            np.testing.assert_allclose(drawn, box, atol=5)


def test_some_objects_are_in_two_parts(coco_like):
    assert {len(parts) for image in coco_like.images for parts in image.polygons} == {1, 2}


def test_positives_fit_their_object(coco_like):
    for image in coco_like.images:
        ious = bbox_overlaps(image.positives, image.boxes)
        assert (ious.amax(1) > 0.5).all()
        assert torch.equal(ious.argmax(1), image.positive_inds)
        assert ious.amax(1).std() > 0.05
        assert len(image.positive_inds.unique()) > 10


def test_background_fits_no_object(coco_like):
    for image in coco_like.images:
        assert (bbox_overlaps(image.background, image.boxes) < 0.5).all()


def test_every_box_lies_in_the_image(coco_like):
    for image in coco_like.images:
        for boxes in (image.boxes, image.positives, image.background):
            assert (boxes >= 0).all()
            assert (boxes[:, 2:] <= torch.tensor([1333, 800])).all()
            assert (boxes[:, 2:] > boxes[:, :2]).all()


def test_the_same_arguments_give_the_same_scene():
    first, again, other = (make_scene((96, 128), 3, 5, seed=seed) for seed in (0, 0, 1))
    for a, b, c in zip(first.images, again.images, other.images):
        assert np.array_equal(a.bitmaps, b.bitmaps)
        assert torch.equal(a.positives, b.positives)
        assert torch.equal(a.background, b.background)
        assert not np.array_equal(a.bitmaps, c.bitmaps)


def test_objects_larger_than_the_image_are_made_smaller():
    (image,) = make_scene((64, 64), 3, 4, images=1).images
    assert (image.bitmaps.sum((1, 2)) > 0).any()
    assert (image.boxes[:, 2:] <= 64).all()


# --- the cases do the same work


def result_of(section, case, of_scene):
    made = section.cases[case](of_scene)
    return made.run(*made.inputs(of_scene))


@pytest.mark.parametrize('kind', [0, 1])
def test_targets_agree(kind, tiny_scene):
    section = sections_of('targets', TINY)[kind]
    masks, none = result_of(section, 'mask_rcnn', tiny_scene)
    stock_masks, stock_ious = result_of(section, 'ms_rcnn', tiny_scene)
    our_masks, our_ious = result_of(section, 'plugin', tiny_scene)
    assert none is None
    assert torch.equal(masks, stock_masks)
    assert masks.mean() > 0.1
    assert (our_masks != stock_masks).float().mean() < 1e-3
    assert our_ious.shape == stock_ious.shape == (12,)
    assert our_ious.max() > 0


@pytest.mark.parametrize('suite', ['roi_head_train', 'train_step'])
def test_losses_agree(suite, tiny_scene):
    section = sections_of(suite, TINY)[0]
    plain, stock, ours = (result_of(section, case, tiny_scene) for case in CASES)
    shared = {name for name in plain if name != 'loss'}
    assert {'loss_cls', 'loss_bbox', 'loss_mask'} <= shared
    for name in shared:
        torch.testing.assert_close(stock[name], plain[name])
        torch.testing.assert_close(ours[name], plain[name], rtol=1e-4, atol=1e-5)
    assert 'loss_mask_iou' in stock
    assert 'loss_mask_iou' in ours
    assert 'loss_mask_iou' not in plain


def test_weights_are_shared():
    plain, stock, ours = (build_roi_head(case, 6, True).state_dict() for case in CASES)
    assert list(stock) == list(ours)
    assert all(torch.equal(stock[name], ours[name]) for name in stock)
    assert all(torch.equal(stock[name], plain[name]) for name in plain)


def test_the_sampler_takes_the_positives_asked_for(tiny_scene):
    section = sections_of('roi_head_train', TINY)[0]
    head = section.cases['plugin'](tiny_scene)
    seen = []
    head.roi_head.mask_head.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    head.run(*head.inputs(tiny_scene))
    assert len(seen[0]) == 2 * TINY.positives


def test_predictions_are_100_in_every_case():
    (section,) = sections_of('predict', TINY)
    one = TINY.scene(1)
    outputs = [result_of(section, case, one)[0].pred_instances for case in CASES]
    assert [len(output) for output in outputs] == [100] * 3
    assert [tuple(output.masks.shape[1:]) for output in outputs] == [(480, 640)] * 3
    torch.testing.assert_close(outputs[2].bboxes, outputs[0].bboxes)


def test_the_score_threshold_lets_a_thousand_boxes_pass(monkeypatch):
    (section,) = sections_of('predict', TINY)
    one = TINY.scene(1)
    case = section.cases['mask_rcnn'](one)
    assert isinstance(case, Predict)
    scores = []
    case.model.roi_head.bbox_head.register_forward_hook(lambda *call: scores.append(call[-1][0]))
    case.run(*case.inputs(one))
    passed = scores[0].softmax(1)[:, :-1] > case.model.roi_head.test_cfg.score_thr
    assert 1000 <= passed.sum() < 1300


def test_head_only_steps_learn_the_head_alone(tiny_scene):
    (section,) = sections_of('head_only', TINY)
    full, only = (section.cases[name](tiny_scene) for name in ('full', 'head_only'))
    assert {'loss_cls', 'loss_mask_iou'} <= set(full.run(*full.inputs(tiny_scene)))
    assert set(only.run(*only.inputs(tiny_scene))) == {'loss', 'loss_mask_iou'}
    trained = {name for name, value in only.model.named_parameters() if value.requires_grad}
    assert trained
    assert all('mask_iou_head' in name for name in trained)


# --- measuring


class Recorded:
    """A case that notes its calls."""

    def __init__(self, name, calls):
        self.name, self.calls = name, calls

    def inputs(self, of_scene):
        return (of_scene,)

    def run(self, of_scene):
        self.calls.append(self.name)


def test_cases_take_turns_and_the_first_round_does_not_count():
    calls, steps = [], []
    cases = {name: Recorded(name, calls) for name in 'abc'}
    measured = interleave(cases, 'scene', 2, 'cpu', lambda: steps.append(1))
    assert ''.join(calls) == 'abcbcacab'
    assert len(steps) == 9
    assert [len(seconds) for seconds, _ in measured.values()] == [2, 2, 2]
    assert all(peak is None for _, peak in measured.values())


class Hungry:
    """A case that holds ``mebibytes`` for a moment."""

    def inputs(self, mebibytes):
        return (mebibytes,)

    def run(self, mebibytes):
        np.ones(mebibytes * 2**20, np.uint8)


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='reads /proc')
def test_the_peak_is_that_of_the_call():
    peak = peak_of_call(Hungry(), 200, 1)
    assert 195 * 2**20 < peak < 230 * 2**20


def test_a_peak_that_an_earlier_one_hides_is_unknown(monkeypatch):
    monkeypatch.setattr('tools.benchmarking.measuring.reset_peak', lambda: False)
    monkeypatch.setattr('tools.benchmarking.measuring.peak_resident_bytes', lambda: 10**12)
    assert peak_of_call(Hungry(), 2, 1) is None


def test_a_peak_that_the_system_does_not_tell_is_unknown(monkeypatch):
    monkeypatch.setattr('tools.benchmarking.measuring.peak_resident_bytes', lambda: None)
    assert peak_of_call(Hungry(), 2, 1) is None


def test_figures_of_made_up_timings():
    assert quartiles([4.0, 1.0, 3.0, 2.0, 5.0]) == (2.0, 3.0, 4.0)
    assert quartiles([7.0]) == (7.0, 7.0, 7.0)
    # Round by round: 2, 1, 4. The ratio of the medians, 4 / 2, would be another figure.
    assert ratio([2.0, 4.0, 8.0], [1.0, 4.0, 2.0]) == (1.5, 2.0, 3.0)
    assert ratio([2.0, 5.0, 9.0], [2.0, 1.0, 3.0])[1] == 3.0
    assert slope([1.0, 2.0, 3.0], [13.0, 26.0, 15.0], (8, 128)) == pytest.approx(0.1)
    assert summary([2.0, 1.0, 3.0], peak=5) == dict(
        seconds=[2.0, 1.0, 3.0], median=2.0, lower_quartile=1.5, upper_quartile=2.5, peak=5
    )


# --- goals


def made_up(device='cpu', **suites):
    return dict(settings=dict(device=device), suites=suites, scaling=[])


def cases(**seconds):
    return {name: summary([value] * 3, peak=value * 100) for name, value in seconds.items()}


def reached(results):
    return {row['goal']: row for row in goals.reached(results)}


def test_goals_are_met_or_missed_by_what_was_measured():
    head = dict(forward=cases(mask_rcnn=2.0, ms_rcnn=4.0, plugin=3.0))
    targets = dict(
        bitmaps=cases(mask_rcnn=9.0, ms_rcnn=10.0, plugin=1.0),
        polygons=cases(mask_rcnn=1.0, ms_rcnn=1.0, plugin=1.5),
    )
    rows = reached(made_up(roi_head_train=head, targets=targets))
    figures = {name: (row['reached'], row['met']) for name, row in rows.items()}
    assert figures['targets: stock MS R-CNN / plugin, time'] == (10.0, True)
    assert figures['targets: plugin / stock MS R-CNN, extra peak memory'] == (0.1, False)
    assert figures['targets from polygons: plugin / stock MS R-CNN, time'] == (1.5, False)
    plain = 'MSRoIHead.loss / StandardRoIHead.loss (Mask R-CNN), time'
    assert figures[plain] == (1.5, False)
    assert figures['MSRoIHead.loss / MaskScoringRoIHead.loss, time'] == (0.75, True)
    assert figures['training step: full / MaskIoU head only, time'] == (None, None)


def test_goals_differ_by_device():
    head = dict(forward=cases(mask_rcnn=2.0, ms_rcnn=4.0, plugin=3.0))
    rows = reached(made_up('cuda', roi_head_train=head))
    row = rows['MSRoIHead.loss / MaskScoringRoIHead.loss, time']
    assert (row['bound'], row['met']) == (0.6, False)
    assert 'targets: plugin / stock MS R-CNN, extra peak memory' not in rows
    assert 'predict, 100 detections: plugin / Mask R-CNN, time' in rows


def test_unknown_memory_is_not_measured():
    step = dict(step=cases(full=3.0, head_only=1.0))
    step['step']['full']['peak'] = None
    rows = reached(made_up(head_only=step))
    assert rows['training step: full / MaskIoU head only, time']['met'] is True
    assert rows['training step: MaskIoU head only / full, extra peak memory']['met'] is None


@pytest.mark.parametrize(
    ('figure', 'sign', 'met'),
    [(1, '≥', True), (0.9, '≥', False), (1, '≤', True), (1.1, '≤', False), (1, '<', False)],
)
def test_a_goal_is_kept_as_its_sign_says(figure, sign, met):
    assert goals.keeps(figure, sign, 1.0) is met


def test_nan_keeps_no_goal():
    assert not any(goals.keeps(math.nan, sign, 1.0) for sign in '≥≤<')


def cell(positives, stock, plugin, objects=1):
    return dict(
        image_size=[96, 128],
        objects=objects,
        positives=positives,
        cases=cases(ms_rcnn=stock, plugin=plugin),
    )


def test_growth_with_the_positives():
    grid = [cell(32, 9.0, 9.0), cell(8, 1.0, 1.0), cell(128, 25.0, 4.0), cell(8, 1.0, 1.0, 20)]
    (row,) = goals.growth(grid)
    assert row['positives'] == [8, 128]
    assert row['seconds_per_positive'] == dict(
        ms_rcnn=pytest.approx(0.2), plugin=pytest.approx(0.025)
    )
    assert row['times'] == dict(ms_rcnn=25.0, plugin=4.0)


def test_growth_is_judged_where_it_is_worst():
    grid = [
        *(cell(8, 1.0, 1.0), cell(128, 25.0, 4.0)),
        *(cell(8, 1.0, 1.0, 20), cell(128, 25.0, 17.0, 20)),
    ]
    rows = reached(dict(made_up(), scaling=grid))
    slopes, linear = (row for name, row in rows.items() if name.startswith('targets,'))
    assert slopes['reached'] == pytest.approx(16 / 24)
    assert slopes['met'] is False
    assert linear['reached'] == pytest.approx(17 / 16)
    assert linear['met'] is False


def test_the_scaling_grid_of_the_defaults():
    grid = scaling_settings(Settings())
    assert {s.image_size for s in grid} == {(400, 667), (800, 1333)}
    assert {s.objects for s in grid} == {1, 20, 100}
    assert {s.positives for s in grid} == {8, 32, 128}
    assert len(grid) == 18


def test_rounds_are_those_given_or_those_of_the_section():
    assert Settings(rounds=7).rounds_of('roi_head_train', 'forward_backward') == 7
    whole, backward = (
        Settings().rounds_of('roi_head_train', name) for name in ('forward', 'forward_backward')
    )
    assert whole > backward >= 2
    assert Settings(device='cuda').rounds_of('compile', 'head') > 0


# --- a run


@pytest.fixture
def small_run(tmp_path, monkeypatch):
    """A run that starts no processes."""
    monkeypatch.setattr(run.Run, '_peaks_in_child', lambda *_: dict(bitmaps=2**20, step=None))
    with open(tmp_path / 'out', 'w') as out:
        yield run.Run(TINY, Console(file=out, width=118), ['unused'], tmp_path / 'results.json')


def test_every_suite_runs(small_run, tmp_path):
    small_run.measure(DEFAULT_SUITES)
    small_run.show_goals()
    results = json.loads((tmp_path / 'results.json').read_text())
    assert results == small_run.results
    assert set(results) == {'machine', 'settings', 'finished', 'suites', 'scaling', 'goals'}
    assert results['finished'] is True
    assert {name: list(sections) for name, sections in results['suites'].items()} == dict(
        targets=['bitmaps', 'polygons'],
        roi_head_train=['forward', 'forward_backward'],
        train_step=['step'],
        predict=['image'],
        head_only=['step'],
        rankings=['masks'],
    )
    for suite, sections in results['suites'].items():
        for section in sections.values():
            assert tuple(section) == OTHER_CASES.get(suite, CASES)
            assert all(0 < case['median'] < math.inf for case in section.values())
            assert all(len(case['seconds']) == TINY.rounds for case in section.values())
    assert results['suites']['targets']['bitmaps']['plugin']['peak'] == 2**20
    assert len(results['scaling']) == 2 * 3 * 2
    assert all(c['cases']['plugin']['median'] > 0 for c in results['scaling'])
    assert {row['met'] for row in results['goals']} <= {True, False, None}
    assert results['machine']['cpu']
    assert results['machine']['torch'] == torch.__version__
    shown = (tmp_path / 'out').read_text()
    for words in ('mask and MaskIoU targets', 'scaling', 'goals', 'MiB', results['machine']['cpu']):
        assert words in shown


def test_what_is_finished_stays_when_interrupted(small_run, tmp_path, monkeypatch):
    def until_the_second(suite, settings):
        if suite == 'train_step':
            raise KeyboardInterrupt
        return sections_of(suite, settings)

    monkeypatch.setattr(run, 'sections_of', until_the_second)
    assert benchmark.measure(small_run, ['head_only', 'train_step']) == 130
    results = json.loads((tmp_path / 'results.json').read_text())
    assert list(results['suites']) == ['head_only']
    assert results['finished'] is False
    assert not list(tmp_path.glob('*.partial'))
    assert 'interrupted' in (tmp_path / 'out').read_text()


def test_a_case_that_does_not_compile_says_why(small_run, monkeypatch, tmp_path):
    def compiler_less(*args, **kwargs):
        raise RuntimeError('no compiler [here]')

    monkeypatch.setattr(torch, 'compile', compiler_less)
    small_run.measure(['compile'])
    section = small_run.results['suites']['compile']['head']
    assert section['eager']['median'] > 0
    assert section['compiled'] == dict(error='RuntimeError: no compiler [here]')
    assert 'no compiler [here]' in (tmp_path / 'out').read_text()


def test_a_child_tells_the_peaks_of_its_case(capfd):
    arguments = '--small --image-size 96x128 --objects 2 --positives 4 --device cpu'.split()
    assert benchmark.main([*arguments, '--peak-of', 'targets/plugin']) == 0
    peaks = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert set(peaks) == {'bitmaps', 'polygons'}
    assert all(peak is None or peak >= 0 for peak in peaks.values())


def test_a_child_that_fails_leaves_the_peak_unknown(tmp_path):
    with open(tmp_path / 'out', 'w') as out:
        child = [sys.executable, '-c', 'raise SystemExit("out of memory")']
        failing = run.Run(TINY, Console(file=out, width=118), child)
        assert failing._peaks_in_child('targets/plugin') == {}
    assert (
        'peak memory of targets/plugin is unknown: out of memory' in (tmp_path / 'out').read_text()
    )


# --- tables


def test_tables_show_ratios_and_verdicts(capsys):
    console = Console(width=118)
    console.print(tables.section_table('title', cases(mask_rcnn=2.0, ms_rcnn=4.0, plugin=3.0)))
    results = made_up(roi_head_train=dict(forward=cases(mask_rcnn=2.0, ms_rcnn=4.0, plugin=3.0)))
    console.print(tables.goal_table(goals.reached(results)))
    lines = capsys.readouterr().out.splitlines()
    (plugin,) = (line for line in lines if 'plugin' in line and 'ms' in line and '3000' in line)
    assert '1.500 (1.500-1.500)' in plugin
    assert '0.750 (0.750-0.750)' in plugin
    (plain,) = (line for line in lines if 'StandardRoIHead' in line)
    assert 'missed' in plain
    (stock,) = (line for line in lines if 'MaskScoringRoIHead' in line)
    assert 'met' in stock
    assert 'not measured' in '\n'.join(lines)


@pytest.mark.parametrize(
    ('seconds', 'text'), [(0.00123, '1.23 ms'), (0.0456, '45.6 ms'), (1.234, '1234 ms')]
)
def test_times_are_shown_with_three_digits(seconds, text):
    assert tables.ms(seconds) == text


# --- command line


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        ('--rounds 0', 'whole number, 1 or more'),
        ('--threads two', 'whole number, 1 or more'),
        ('--objects -3', 'objects'),
        ('--image-size 800', 'image-size'),
        ('--image-size 8x9', '32 or more'),
        ('--suite everything', 'invalid choice'),
        ('--device tpu', 'invalid choice'),
        ('--json no/such/folder/file.json', 'there is no folder'),
        ('--unknown', 'unrecognized'),
    ],
)
def test_wrong_arguments_are_answered_in_one_line(arguments, words, capsys):
    with pytest.raises(SystemExit) as exit_info:
        benchmark.parse_args(['--device', 'cpu', *arguments.split()])
    error = capsys.readouterr().err
    assert exit_info.value.code == 2
    assert error.count('\n') == 1
    assert words in error
    assert '--help' in error


def test_cuda_where_there_is_none(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(SystemExit) as exit_info:
        benchmark.parse_args(['--device', 'cuda'])
    assert exit_info.value.code == 2
    assert 'no CUDA device' in capsys.readouterr().err
    assert benchmark.parse_args([]).device == 'cpu'


def test_the_defaults_are_the_case_of_the_goals():
    args = benchmark.parse_args(['--device', 'cpu'])
    assert (args.image_size, args.objects, args.positives) == ((800, 1333), 20, 128)
    assert benchmark.SUITES == DEFAULT_SUITES


def test_help_says_what_there_is(capsys):
    with pytest.raises(SystemExit) as exit_info:
        benchmark.parse_args(['--help'])
    shown = capsys.readouterr().out
    assert exit_info.value.code == 0
    for option in ('--suite', '--device', '--rounds', '--threads', '--json', '--compile'):
        assert option in shown
    assert '--peak-of' not in shown
