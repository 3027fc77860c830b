"""What README shows is tried as written, and what it names is there."""

import importlib.util
import re
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.structures import InstanceData

from .conftest import data_sample
from .own_project import lay_out_project

REPOSITORY = Path(__file__).resolve().parent.parent
FENCE = re.compile(r'^ *```(\w*)[^\n]*\n(.*?)^ *```', re.MULTILINE | re.DOTALL)
FOLDERS = ('configs', 'docs', 'msrcnn_plugin', 'tests', 'tools')


@pytest.fixture(scope='module')
def readme():
    return (REPOSITORY / 'README.md').read_text()


@pytest.fixture
def own_modules(readme, tmp_path, monkeypatch):
    """The fenced Python snippets that begin with their file's name, importable."""
    folder = tmp_path / 'modules'
    folder.mkdir()
    for language, code in FENCE.findall(readme):
        named = re.match(r'# (\w+)\.py\n', code)
        if language == 'python' and named:
            (folder / f'{named[1]}.py').write_text(code)
    monkeypatch.syspath_prepend(folder)
    yield
    names = {path.stem for path in folder.iterdir()}
    for name, registered in list(MODELS.module_dict.items()):
        if registered.__module__ in names:
            MODELS.module_dict.pop(name)


@pytest.fixture(scope='module')
def own_configs(readme):
    """The fenced Python snippets that are a config of a user's own."""
    blocks = FENCE.findall(readme)
    found = [code for language, code in blocks if (language, code[:6]) == ('python', '_base_')]
    assert found, 'README.md shows no config: a fenced python snippet that starts with _base_'
    return found


def code_in(text):
    """Fenced blocks and inline code, prose left out."""
    spans = re.findall(r'`([^`\n]+)`', FENCE.sub('', text))
    return '\n'.join([code for _, code in FENCE.findall(text)] + spans)


def links_in(text):
    prose = FENCE.sub('', text)
    markdown = re.findall(r'\]\(<?([^)\s>]+)', prose)
    return markdown + re.findall(r'(?:src|href)="([^"]+)"', prose)


def paths_in(code):
    """Paths below the repository's own folders, as shell patterns: {a,b} and … are any text."""
    pattern = rf'(?<![\w./:-])((?:{"|".join(FOLDERS)})/[\w./*{{}},…-]*)'
    found = (path.rstrip('.,') for path in re.findall(pattern, code))
    return sorted({re.sub(r'\{[^}]*\}|…', '*', path) for path in found})


def anchor(heading):
    """The anchor that code hosts give a heading."""
    return re.sub(r'[^\w\- ]', '', heading.strip().lower()).replace(' ', '-')


def make_targets(code):
    words = ' '.join(re.findall(r'\bmake((?:[ \t]+[\w=./-]+)+)', code)).split()
    return {word for word in words if '=' not in word and not word.startswith('-')}


def test_a_config_of_ones_own_takes_five_lines_at_most(own_configs):
    for code in own_configs:
        lines = [line for line in code.splitlines() if line.strip() and line.strip()[0] != '#']
        assert len([line for line in lines if not line.startswith('_base_')]) <= 5, code


@pytest.mark.usefixtures('own_modules')
# mmdet copies the merged masks of a cascade that way before it pastes them.
@pytest.mark.filterwarnings('ignore:To copy construct from a tensor')
def test_a_config_of_ones_own_scores_masks_as_written(own_configs, tmp_path):
    lay_out_project(tmp_path)
    for i, code in enumerate(own_configs):
        path = tmp_path / f'my_config_{i}.py'
        path.write_text(code)
        cfg = Config.fromfile(path).model
        cfg.backbone.init_cfg = None
        model = MODELS.build(cfg).eval()
        sample = data_sample(InstanceData(), height=64, width=64)
        with torch.no_grad():
            (result,) = model.predict(torch.randn(1, 3, 64, 64), [sample])
        assert {'mask_ious', 'mask_scores'} <= set(result.pred_instances.keys()), code


def test_every_link_into_the_repository_leads_somewhere(readme):
    headings = re.findall(r'^#+ (.+)$', FENCE.sub('', readme), re.MULTILINE)
    anchors = {anchor(heading) for heading in headings}
    for link in links_in(readme):
        if re.match(r'[a-z]+:', link):
            continue
        path, _, section = link.partition('#')
        assert (REPOSITORY / path).exists(), link
        assert path or section in anchors, link


def test_every_path_it_names_exists(readme):
    paths = paths_in(code_in(readme))
    assert paths
    for path in paths:
        assert any(REPOSITORY.glob(path.rstrip('/'))), path


def test_every_make_target_it_names_exists(readme):
    targets = make_targets(code_in(readme))
    assert {'demo', 'test'} <= targets
    makefile = (REPOSITORY / 'Makefile').read_text()
    for target in targets:
        assert re.search(rf'^{re.escape(target)}:', makefile, re.MULTILINE), target


def test_every_module_it_starts_exists(readme):
    for module in re.findall(r'-m (msrcnn_plugin[\w.]*)', code_in(readme)):
        assert importlib.util.find_spec(module), module
