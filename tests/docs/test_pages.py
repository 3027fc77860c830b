"""What README and the pages show works as written, and what they name exists."""

from __future__ import annotations

import re
import shlex

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.structures import InstanceData

from msrcnn_plugin.commands import main as command_line

from ..conftest import data_sample
from ..documents import PAGES, README, REPOSITORY, blocks, code, configs, prose
from ..own_project import lay_out_project

FOLDERS = ('configs', 'docs', 'msrcnn_plugin', 'projects', 'results', 'tests', 'tools')
MODEL_CONFIGS = sorted({config for page in PAGES for config in configs(page)})
COMMANDS = sorted(
    {
        line.partition(' # ')[0].strip()
        for page in PAGES
        for language, text in blocks(page)
        if language == 'bash'
        for line in text.replace('\\\n', ' ').splitlines()
    }
)


def name_of(page):
    return str(page.relative_to(REPOSITORY))


@pytest.fixture
def own_modules(tmp_path, monkeypatch):
    """The Python blocks that begin with their file's name and are no config, importable."""
    folder = tmp_path / 'modules'
    folder.mkdir()
    for page in PAGES:
        for language, text in blocks(page):
            named = re.match(r'# (\w+)\.py\n', text)
            if language == 'python' and named and text not in configs(page):
                (folder / f'{named[1]}.py').write_text(text)
    monkeypatch.syspath_prepend(folder)
    yield
    names = {path.stem for path in folder.iterdir()}
    for name, registered in list(MODELS.module_dict.items()):
        if registered.__module__ in names:
            MODELS.module_dict.pop(name)


@pytest.mark.usefixtures('own_modules')
# mmdet copies the merged masks of a cascade that way before it pastes them.
@pytest.mark.filterwarnings('ignore:To copy construct from a tensor')
@pytest.mark.parametrize('config', MODEL_CONFIGS)
def test_config_scores_masks(config, tmp_path):
    path = lay_out_project(tmp_path) / 'config.py'
    path.write_text(config)
    cfg = Config.fromfile(path).model
    cfg.backbone.init_cfg = None
    model = MODELS.build(cfg).eval()
    sample = data_sample(InstanceData(), height=64, width=64)
    with torch.no_grad():
        (result,) = model.predict(torch.randn(1, 3, 64, 64), [sample])
    assert {'mask_ious', 'mask_scores'} <= set(result.pred_instances.keys())


@pytest.mark.parametrize('line', [line for line in COMMANDS if line.startswith('msrcnn ')])
def test_command_has_these_arguments(line):
    words = shlex.split(line)[1:]
    parser, _ = command_line._parser(words)
    assert parser.parse_args(words)


@pytest.mark.parametrize('page', PAGES, ids=name_of)
def test_named_paths_exist(page):
    pattern = rf'(?<![\w./:-])((?:{"|".join(FOLDERS)})/[\w./*{{}},…-]*)'
    for path in re.findall(pattern, code(page)):
        shell_pattern = re.sub(r'\{[^}]*\}|…', '*', path.rstrip('.,/'))
        assert any(REPOSITORY.glob(shell_pattern)), path


@pytest.mark.parametrize('page', PAGES, ids=name_of)
def test_named_make_targets_exist(page):
    words = ' '.join(re.findall(r'\bmake((?:[ \t]+[\w=./-]+)+)', code(page))).split()
    makefile = (REPOSITORY / 'Makefile').read_text()
    for target in words:
        if '=' not in target and not target.startswith('-'):
            assert re.search(rf'^{re.escape(target)}:', makefile, re.MULTILINE), target


def test_links_of_readme_lead_somewhere():
    text = prose(README)
    headings = re.findall(r'^#+ (.+)$', text, re.MULTILINE)
    anchors = {re.sub(r'[^\w\- ]', '', h.lower()).replace(' ', '-') for h in headings}
    for link in re.findall(r'\]\(<?([^)\s>]+)', text):
        path, _, section = link.partition('#')
        if not re.match(r'[a-z]+:', link):
            assert (REPOSITORY / path).exists(), link
            assert path or section in anchors, link


def test_readme_is_short():
    assert len(README.read_bytes()) <= 9 * 1024
