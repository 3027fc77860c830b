"""The versions of the host that fit, and what is said of the others."""

import pytest
import torch

from msrcnn_plugin import compat

MMDET = compat.HOST[3]


@pytest.mark.parametrize(
    ('version', 'fits'),
    [
        ('2.28.2', False),
        ('3.0.0rc6', False),
        ('3.0.0', True),
        ('3.3.0+local', True),
        ('3.10.0', True),
        ('4.0.0', False),
    ],
)
def test_mmdet_from_3_to_4_fits(monkeypatch, version, fits):
    fake_distributions(monkeypatch, {'mmdet': version})
    assert (MMDET.problem() is None) is fits


def test_the_environment_of_the_tests_is_fit():
    assert compat.host_problems() == []
    compat.require_host()


def fake_distributions(monkeypatch, versions):
    def version(name):
        if name not in versions:
            raise compat.metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(compat.metadata, 'version', version)
    # Without metadata a module on the path still counts; here nothing else is to be found.
    monkeypatch.setattr(compat.importlib, 'import_module', missing_module)


def missing_module(name):
    raise ModuleNotFoundError(f'No module named {name!r}')


UPSTREAM = {'torch': '2.11.0+cu130', 'mmengine': '0.10.7', 'mmcv': '2.1.0', 'mmdet': '3.3.0'}
ONEDL = {
    'torch': '2.13.0',
    'onedl-mmengine': '0.10.12',
    'onedl-mmcv': '2.3.6',
    'onedl-mmdetection': '3.5.1',
}


@pytest.mark.parametrize('versions', [UPSTREAM, ONEDL], ids=['upstream', 'onedl'])
def test_upstream_and_onedl_fit(monkeypatch, versions):
    fake_distributions(monkeypatch, versions)
    assert [package.problem() for package in compat.HOST] == [None] * 4


@pytest.mark.parametrize(('versions', 'name'), [(UPSTREAM, 'mmdet'), (ONEDL, 'mmdetection')])
def test_each_mim_knows_mmdet_by_its_own_name(monkeypatch, versions, name):
    fake_distributions(monkeypatch, versions)
    assert compat.mim_package() == name


def test_one_import_error_names_everything_missing_and_its_fix(monkeypatch):
    fake_distributions(monkeypatch, {'torch': '2.11.0', 'mmcv': '1.7.2', 'mmengine': '0.10.7'})
    with pytest.raises(ImportError) as raised:
        compat.require_host()
    message = str(raised.value)
    assert 'mmdet is not installed; expected mmdet <4,>=3.0' in message
    assert "pip install 'mmdet>=3.0,<4'" in message
    assert 'mmcv is 1.7.2; expected mmcv <3,>=2.0' in message
    assert 'mmcv==2.1.0' in message
    assert 'mmengine is' not in message


def test_upstream_and_fork_together_are_a_problem(monkeypatch):
    fake_distributions(monkeypatch, {**UPSTREAM, 'onedl-mmdetection': '3.5.1'})
    problem = MMDET.problem()
    assert 'mmdet and onedl-mmdetection both install mmdet' in problem.what
    assert problem.fix.startswith('pip uninstall -y mmdet onedl-mmdetection && ')


def test_a_source_tree_without_metadata_counts_by_its_own_version(monkeypatch):
    fake_distributions(monkeypatch, {})
    tree = type('module', (), {'__version__': '3.1.0'})
    monkeypatch.setattr(compat.importlib, 'import_module', lambda name: tree)
    assert MMDET.installed() == {'mmdet': '3.1.0'}
    assert MMDET.problem() is None


def test_operators_built_for_another_torch_are_reported_in_their_own_words(monkeypatch):
    fake_distributions(monkeypatch, UPSTREAM)

    def load(name):
        if name == 'mmcv.ops':
            raise ImportError('mmcv/_ext.so: undefined symbol: _ZNK3c10\nmore')

    monkeypatch.setattr(compat.importlib, 'import_module', load)
    (problem,) = compat.host_problems()
    assert problem.what.endswith('ImportError: mmcv/_ext.so: undefined symbol: _ZNK3c10')
    assert problem.fix == compat.FIX_MMCV


@pytest.mark.parametrize(('torch_version', 'series'), [('2.11.0+cpu', '0.26'), ('2.8.0', '0.23')])
def test_torchvision_is_named_by_the_torch_it_belongs_to(torch_version, series):
    assert f"'torchvision=={series}.*'" in compat.fix_torchvision(torch_version)


def test_a_torch_that_does_not_tell_computes_in_float32(monkeypatch):
    monkeypatch.delattr(torch.cpu, '_is_avx512_bf16_supported', raising=False)
    assert not compat.computes_in_bfloat16()
