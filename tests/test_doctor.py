import json
import subprocess
import sys
from pathlib import Path

import pytest

from msrcnn_plugin import doctor
from msrcnn_plugin.doctor import FAULT, NOTE, OK, Finding

ROOT = Path(__file__).parents[1]


def bare_python(*arguments):
    """The same interpreter without its site-packages: a machine on which nothing is installed."""
    command = [sys.executable, '-S', *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_it_runs_where_nothing_is_installed_and_names_all_of_it():
    done = bare_python('-m', 'msrcnn_plugin.doctor')
    assert done.returncode == 1
    assert done.stderr == ''
    for module in ('torch', 'mmengine', 'mmcv', 'mmdet'):
        assert f'{module} is not installed; expected {module} >=' in done.stdout
    assert "pip install 'mmdet>=3.0,<4'" in done.stdout
    assert done.stdout.endswith('4 at fault\n')


def test_there_the_import_raises_one_import_error_that_says_the_same():
    done = bare_python('-c', 'import msrcnn_plugin')
    assert done.returncode == 1
    assert done.stderr.count('Traceback') == 1
    assert 'ImportError: msrcnn_plugin cannot run in this environment' in done.stderr
    assert 'mmdet is not installed; expected mmdet >=3.0,<4' in done.stderr
    assert 'msrcnn_plugin.doctor' in done.stderr


@pytest.mark.skipif(sys.version_info < (3, 10), reason='Python 3.9 does not tell what -m runs')
def test_only_the_doctor_starts_there():
    done = bare_python('-m', 'msrcnn_plugin.geometry')
    assert 'msrcnn_plugin cannot run in this environment' in done.stderr


def test_this_environment_is_fit_and_every_check_was_executed(tmp_path):
    file = tmp_path / 'doctor.json'
    command = [sys.executable, '-m', 'msrcnn_plugin.doctor', '--json', str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads(file.read_text())
    details = {finding['name']: finding['detail'] for finding in record['findings']}
    assert record['fit']
    assert 'nms runs' in details['torchvision works']
    assert 'roi_align runs on cpu' in details["mmcv's ops work"]
    assert 'registered with mmdet' in details['plugin works']
    assert 'version' in details['mim works']


def test_a_check_reports_the_last_line_it_printed():
    finding = doctor.run_python('sum', 'print("noise"); print(1 + 1)', mend='')
    assert (finding.status, finding.detail) == (OK, '2')


def test_a_failed_check_reports_the_error_and_what_mends_it():
    finding = doctor.run_python('import', 'import no_such_module', mend='pip install it')
    assert finding.status == FAULT
    assert finding.detail == "ModuleNotFoundError: No module named 'no_such_module'"
    assert finding.mend == 'pip install it'


def test_a_check_that_takes_the_interpreter_down_is_a_fault():
    finding = doctor.run_python('abort', 'import os; os.abort()', mend='')
    assert finding.status == FAULT
    assert 'status -6' in finding.detail


def test_a_check_that_hangs_is_a_fault(monkeypatch):
    monkeypatch.setattr(doctor, 'SECONDS_PER_CHECK', 0.2)
    finding = doctor.run_python('hang', 'import time; time.sleep(60)', mend='')
    assert finding.status == FAULT
    assert 'timed out' in finding.detail


def test_a_missing_mim_is_a_note_with_its_command(monkeypatch):
    monkeypatch.setattr(doctor.compat, 'distribution_versions', lambda names: {})
    finding = doctor.mim_finding()
    assert finding.status == NOTE
    assert finding.mend.startswith('pip install openmim')


def test_onedl_is_shown_under_its_own_names(monkeypatch):
    versions = {'onedl-mmdetection': '3.5.1'}
    monkeypatch.setattr(doctor.compat, 'installed_versions', lambda package: versions)
    mmdet = doctor.compat.HOST[3]
    assert doctor.host_finding(mmdet) == Finding('mmdet', OK, 'onedl-mmdetection 3.5.1')


def with_findings(monkeypatch, *findings):
    monkeypatch.setattr(doctor, 'version_findings', lambda: list(findings))
    monkeypatch.setattr(doctor, 'function_findings', list)


FIT = Finding('torch', OK, 'torch 2.11.0')
UNFIT = Finding('mmcv', FAULT, 'mmcv is 1.7.2; expected mmcv >=2.0,<3', 'pip install mmcv')
ABSENT = Finding('mim works', NOTE, 'not installed', 'pip install openmim')


@pytest.mark.parametrize(('findings', 'status'), [((FIT, ABSENT), 0), ((FIT, UNFIT), 1)])
def test_faults_decide_the_exit_status_and_notes_do_not(monkeypatch, capsys, findings, status):
    with_findings(monkeypatch, *findings)
    assert doctor.main([]) == status
    shown = capsys.readouterr().out
    assert all(f'    {finding.mend}' in shown for finding in findings)
    assert ('the plugin can run here' in shown) is (status == 0)


def test_the_json_holds_every_finding(monkeypatch, tmp_path):
    with_findings(monkeypatch, FIT, UNFIT)
    doctor.main(['--json', str(tmp_path / 'doctor.json')])
    record = json.loads((tmp_path / 'doctor.json').read_text())
    assert record['fit'] is False
    assert [finding['name'] for finding in record['findings']] == ['torch', 'mmcv']
    assert record['findings'][1]['mend'] == 'pip install mmcv'


def test_wrong_arguments_end_with_status_2(capsys):
    with pytest.raises(SystemExit) as ended:
        doctor.main(['--jason', 'x'])
    assert ended.value.code == 2
    assert 'unrecognized arguments' in capsys.readouterr().err
