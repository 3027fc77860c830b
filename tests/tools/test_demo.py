"""`make demo`: its steps with commands replaced, then once for real in two iterations."""

import json
import subprocess
import sys
from argparse import ArgumentParser

import pytest
from mmengine.config import Config, DictAction
from mmengine.registry import MODELS

from tools import demo

FIGURES = {
    'bbox_mAP': 0.401,
    'bbox_mAP_50': 0.7,
    'bbox_mAP_75': 0.41,
    'segm_mAP': 0.38,
    'segm_mAP_50': 0.69,
    'segm_mAP_75': 0.4,
    'segm_mAP_cls': 0.365,
    'segm_mAP_cls_50': 0.695,
    'segm_mAP_cls_75': 0.37,
    'segm_mAP_oracle': 0.45,
    'segm_mAP_oracle_50': 0.75,
    'segm_mAP_oracle_75': 0.47,
    'mask_iou_pearson': 0.71,
    'mask_iou_mae': 0.1234,
}


class Commands:
    """Stands for `run_logged`: keeps the commands, and leaves what they would have written."""

    def __init__(self):
        self.given = []

    def __call__(self, command, log):
        command = [str(part) for part in command]
        self.given.append(command)
        log.write_text('')
        folder = self.option('--work-dir') if '--work-dir' in command else None
        if command[1] == 'train':
            leave_checkpoint(demo.Path(folder), 'iter_2.pth')
        elif command[1] == 'test':
            run = demo.Path(folder) / '20260101'
            run.mkdir(parents=True)
            content = {f'coco/{name}': value for name, value in FIGURES.items()}
            (run / '20260101.json').write_text(json.dumps(content))
        elif command[1] == str(demo.REPORT_TOOL):
            demo.Path(self.option('--out')).write_text('page')
        else:
            (log.parent / 'data').mkdir()

    def option(self, name):
        return self.given[-1][self.given[-1].index(name) + 1]


def leave_checkpoint(folder, name):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b'weights')
    (folder / 'last_checkpoint').write_text(f'/once/it/was/here/{name}')


@pytest.fixture
def commands(monkeypatch):
    fake = Commands()
    monkeypatch.setattr(demo, 'run_logged', fake)
    monkeypatch.setattr(demo, 'find_mim', lambda: 'mim')
    monkeypatch.setattr(demo, 'draw', lambda data, test, picture: picture.write_text('picture'))
    return fake


# --- a step is done once for what it depends on


@pytest.fixture
def counted(tmp_path):
    result, calls = tmp_path / 'result', []

    def action():
        calls.append(1)
        result.write_text('done')

    return result, calls, action


def test_a_step_is_not_repeated_for_the_same_key(counted, capsys):
    result, calls, action = counted
    first = demo.run_step('work', 'key', result, action)
    assert demo.run_step('work', 'key', result, action) == first
    assert len(calls) == 1
    assert 'done before' in capsys.readouterr().out


def test_a_step_is_repeated_for_another_key_without_its_result_or_its_stamp(counted):
    result, calls, action = counted
    demo.run_step('work', 'key', result, action)
    demo.run_step('work', 'other', result, action)
    result.unlink()
    demo.run_step('work', 'other', result, action)
    result.with_name('result.stamp').write_text('{"key": "oth')  # cut off while it was written
    demo.run_step('work', 'other', result, action)
    assert len(calls) == 4


def test_a_step_that_fails_leaves_no_stamp(counted):
    result, calls, action = counted
    demo.run_step('work', 'key', result, action)
    with pytest.raises(ZeroDivisionError):
        demo.run_step('work', 'other', result, lambda: 1 / 0)
    demo.run_step('work', 'key', result, action)
    assert len(calls) == 2


def test_sources_are_code_and_what_a_page_is_made_of(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, 'REPOSITORY', tmp_path)
    for name in ('b.py', 'a.html', 'c.pyc', 'notes.md'):
        (tmp_path / name).write_text(name)
    assert demo.sources(tmp_path) == [('a.html', 'a.html'), ('b.py', 'b.py')]


def test_keys_follow_from_one_step_to_the_next():
    before = demo.step_keys('config', ['--train', 8])
    more_data = demo.step_keys('config', ['--train', 9])
    other_config = demo.step_keys('other', ['--train', 8])
    assert demo.step_keys('config', ['--train', 8]) == before
    assert not set(before.values()) & set(more_data.values())
    assert other_config['data'] == before['data']
    assert not set(list(before.values())[1:]) & set(list(other_config.values())[1:])


# --- commands


def test_a_commands_output_goes_to_the_log_and_its_progress_to_the_screen(tmp_path, capsys):
    line = (
        '11/21 09:38:59 - mmengine - INFO - Iter(train) [ 20/720]  base_lr: 3.9e-04 eta: 0:06:42  '
        'time: 0.5  loss: 2.6261  loss_rpn_cls: 0.6607  loss_mask: 0.9  loss_mask_iou: 0.0123'
    )
    code = f'print("many settings"); print({line!r})'
    demo.run_logged([sys.executable, '-c', code], tmp_path / 'new' / 'log')
    assert (tmp_path / 'new' / 'log').read_text() == f'many settings\n{line}\n'
    shown = 'Iter(train) [ 20/720]  eta: 0:06:42  loss: 2.6261  loss_mask_iou: 0.0123'
    assert capsys.readouterr().out.strip() == shown


def test_a_failed_command_shows_the_end_of_its_log(tmp_path):
    code = 'import sys; print("the cause"); sys.exit(3)'
    with pytest.raises(demo.StepError, match='the cause') as failed:
        demo.run_logged([sys.executable, '-c', code], tmp_path / 'log')
    assert str(tmp_path / 'log') in str(failed.value)


def test_checkpoint_is_found_in_a_folder_that_was_moved(tmp_path):
    assert demo.find_checkpoint(tmp_path) is None
    leave_checkpoint(tmp_path, 'iter_4.pth')
    assert demo.find_checkpoint(tmp_path) == tmp_path / 'iter_4.pth'
    (tmp_path / 'iter_4.pth').unlink()
    assert demo.find_checkpoint(tmp_path) is None


def test_training_resumes_what_was_interrupted_and_nothing_else(commands, tmp_path):
    folder = tmp_path / 'train'
    demo.train('config.py', ['a=1'], folder, 'key')
    assert '--resume' not in commands.given[0]
    demo.train('config.py', ['a=1'], folder, 'key')
    assert '--resume' in commands.given[1]
    (folder / 'old').write_text('of another config')
    demo.train('config.py', ['a=2'], folder, 'other key')
    assert '--resume' not in commands.given[2]
    assert not (folder / 'old').exists()


def test_training_interrupted_before_its_first_checkpoint_starts_anew(commands, tmp_path):
    demo.train('config.py', [], tmp_path / 'train', 'key')
    (tmp_path / 'train' / 'last_checkpoint').unlink()
    demo.train('config.py', [], tmp_path / 'train', 'key')
    assert '--resume' not in commands.given[1]


def test_figures_are_the_newest_without_their_prefix(tmp_path):
    for run, value in (('20260102', 0.5), ('20260101', 0.1)):
        (tmp_path / run).mkdir()
        content = {'coco/segm_mAP': value, 'coco/mask_iou_pearson': float('nan'), 'time': 1.0}
        (tmp_path / run / f'{run}.json').write_text(json.dumps(content))
    figures = demo.read_figures(tmp_path)
    assert figures['segm_mAP'] == 0.5
    assert figures['mask_iou_pearson'] != figures['mask_iou_pearson']


def test_no_figures_say_what_to_do(tmp_path):
    with pytest.raises(demo.StepError, match='delete that folder'):
        demo.read_figures(tmp_path)


def test_table_ranks_the_same_masks_under_each_score():
    assert demo.table(FIGURES).splitlines() == [
        '       ranked by                        AP   AP50   AP75',
        'boxes  class score                    40.1   70.0   41.0',
        'masks  class score                    36.5   69.5   37.0',
        'masks  mask score                     38.0   69.0   40.0',
        'masks  class score x true MaskIoU     45.0   75.0   47.0',
        'predicted against true MaskIoU: correlation 0.71, mean absolute error 0.123',
    ]


# --- the whole


def steps(commands):
    """mim's verb or the tool's name."""
    return [demo.Path(command[1]).name for command in commands]


def test_all_steps_in_order_and_once(commands, tmp_path, capsys):
    arguments = ['--work-dir', str(tmp_path / 'demo'), '--json', str(tmp_path / 'demo.json')]
    assert demo.main(arguments) == 0
    assert steps(commands.given) == ['make_demo_data.py', 'train', 'test', 'report.py']
    *_, test, page = commands.given
    assert test[test.index('--checkpoint') + 1].endswith('iter_2.pth')
    assert test[test.index('--work-dir') + 1] in page[2]
    assert demo.table(FIGURES) in capsys.readouterr().out
    written = json.loads((tmp_path / 'demo.json').read_text())
    assert written['figures']['segm_mAP'] == FIGURES['segm_mAP']
    assert written['seconds'].keys() == {'data', 'train', 'test', 'picture', 'page'}
    assert demo.main(arguments) == 0
    assert len(commands.given) == 4
    *_, last = capsys.readouterr().out.splitlines()
    assert last.split() == ['page', str(tmp_path / 'demo' / 'report.html')]


def test_another_option_trains_and_tests_again_on_the_same_data(commands, tmp_path):
    demo.main(['--work-dir', str(tmp_path)])
    demo.main(['--work-dir', str(tmp_path), '--cfg-options', 'train_cfg.max_iters=4'])
    again = commands.given[4:]
    assert steps(again) == ['train', 'test', 'report.py']
    assert all('train_cfg.max_iters=4' in command for command in again[:2])


def test_a_failed_step_is_status_1_with_its_message(monkeypatch, tmp_path, capsys):
    def fail(command, log):
        raise demo.StepError('disk full')

    monkeypatch.setattr(demo, 'run_logged', fail)
    assert demo.main(['--work-dir', str(tmp_path)]) == 1
    assert 'disk full' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('arguments', 'advice'),
    [
        (['--train-images', '0'], 'give 1 or more'),
        (['--cfg-options', 'lr'], 'KEY=VALUE'),
        (['--steps', '5'], 'unrecognized'),
    ],
)
def test_wrong_arguments_end_in_one_line_and_status_2(arguments, advice, capsys):
    with pytest.raises(SystemExit) as stopped:
        demo.parse_args(arguments)
    lines = capsys.readouterr().err.strip().splitlines()
    assert stopped.value.code == 2
    assert len(lines) == 1
    assert advice in lines[0]


# --- its config


def demo_config(name='ms_rcnn_r18_fpn.py'):
    return Config.fromfile(demo.CONFIG.with_name(name))


@pytest.mark.parametrize(
    ('name', 'head'),
    [('mask_rcnn_r18_fpn.py', 'StandardRoIHead'), ('ms_rcnn_r18_fpn.py', 'MSRoIHead')],
)
def test_config_builds(name, head):
    model = MODELS.build(demo_config(name).model)
    assert type(model.roi_head).__name__ == head
    assert sum(p.numel() for p in model.parameters()) < 15e6


def test_data_options_reach_every_dataset_and_evaluator(tmp_path):
    parser = ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    given = parser.parse_args(['--cfg-options', *demo.data_options(tmp_path)])
    config = demo_config()
    assert 'work_dirs/demo/data' in config.pretty_text
    config.merge_from_dict(given.cfg_options)
    for split in ('train', 'val', 'test'):
        assert config[f'{split}_dataloader'].dataset.data_root == f'{tmp_path}/'
    for split in ('val', 'test'):
        annotations = tmp_path / 'annotations' / 'instances_val.json'
        assert config[f'{split}_evaluator'].ann_file == str(annotations)


# --- for real


def test_two_iterations_from_nothing_to_the_page(tmp_path):
    if not demo.Path(sys.executable).with_name('mim').exists():
        pytest.skip('no mim beside this interpreter; `make setup` installs it')
    root, figures = tmp_path / 'demo', tmp_path / 'figures.json'
    command = [sys.executable, demo.__file__, '--work-dir', root, '--json', figures]
    command += ['--train-images', 8, '--val-images', 6, '--cfg-options', 'train_cfg.max_iters=2']
    command += ['train_cfg.val_interval=2', 'param_scheduler.0.end=1', 'env_cfg.cudnn_benchmark=0']
    command = [str(part) for part in command]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'mask score' in done.stdout
    result = json.loads(figures.read_text())
    assert 0 <= result['figures']['segm_mAP'] <= 1
    for path in result['paths'].values():
        assert path in done.stdout
        assert demo.Path(path).exists()
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.stdout.count('done before') == 5
