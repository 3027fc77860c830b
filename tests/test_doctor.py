import json
import subprocess
import sys
from pathlib import Path

import pytest

from msrcnn_plugin import compat, doctor
from msrcnn_plugin.doctor import Finding

ROOT = Path(__file__).parents[1]


def test_this_environment_is_fit_and_every_check_was_executed(tmp_path):
    file = tmp_path / 'doctor.json'
    command = [sys.executable, '-m', 'msrcnn_plugin.doctor', '--json', str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads(file.read_text())
    details = {finding['name']: finding['detail'] for finding in record['findings']}
    assert record['ok']
    assert 'names import' in details['evaluation']
    assert 'nms runs' in details['torchvision works']
    assert 'roi_align runs on cpu' in details['mmcv works']
    assert 'registered with mmdet' in details['plugin works']


def test_a_check_reports_the_last_line_it_printed():
    finding = doctor.check('sum', 'print("noise"); print(1 + 1)', fix='')
    assert (finding.ok, finding.detail) == (True, '2')


def test_a_failed_check_reports_the_error_and_its_fix():
    finding = doctor.check('import', 'import no_such_module', fix='pip install it')
    assert not finding.ok
    assert finding.detail == "ModuleNotFoundError: No module named 'no_such_module'"
    assert finding.fix == 'pip install it'


def test_a_check_that_ends_the_interpreter_is_a_problem():
    finding = doctor.check('abort', 'import os; os.abort()', fix='')
    assert not finding.ok
    assert 'status -6' in finding.detail


def test_a_check_that_hangs_is_a_problem(monkeypatch):
    monkeypatch.setattr(doctor, 'TIMEOUT_SECONDS', 0.2)
    finding = doctor.check('hang', 'import time; time.sleep(60)', fix='')
    assert not finding.ok
    assert 'no answer' in finding.detail


@pytest.fixture
def checks_pass(monkeypatch):
    monkeypatch.setattr(doctor, 'check', lambda name, code, fix: Finding(name, True, 'runs'))


def with_distributions(monkeypatch, **versions):
    monkeypatch.setattr(
        compat.HostPackage,
        'installed',
        lambda self: {name: versions[name] for name in self.distributions if name in versions},
    )


def test_without_a_host_evaluation_works_and_the_way_to_the_host_is_told(
    monkeypatch, checks_pass, capsys
):
    with_distributions(monkeypatch)
    assert doctor.main([]) == 0
    shown = capsys.readouterr().out
    assert 'Evaluation, figures and reports work' in shown
    assert 'make setup' in shown
    assert 'PROBLEM' not in shown


def test_an_unfit_host_is_a_problem_with_its_fix(monkeypatch, checks_pass, capsys, tmp_path):
    with_distributions(monkeypatch, torch='2.11.0', mmengine='0.10.7', mmcv='1.7.2', mmdet='3.3.0')
    assert doctor.main(['--json', str(tmp_path / 'doctor.json')]) == 1
    shown = capsys.readouterr().out
    assert 'PROBLEM  mmcv' in shown
    assert f'    {compat.FIX_MMCV}' in shown
    assert json.loads((tmp_path / 'doctor.json').read_text())['ok'] is False


def test_wrong_arguments_end_with_status_2(capsys):
    with pytest.raises(SystemExit) as ended:
        doctor.main(['--jason', 'x'])
    assert ended.value.code == 2
    assert 'unrecognized arguments' in capsys.readouterr().err
