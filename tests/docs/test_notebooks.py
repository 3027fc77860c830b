"""The notebooks of the site run, and show what they promise."""

from __future__ import annotations

import os

import nbformat
import pytest
from nbclient import NotebookClient

from ..documents import REPOSITORY

FOLDER = REPOSITORY / 'docs' / 'examples'


def run(name, monkeypatch):
    """The executed cells of a notebook; its kernel imports this checkout."""
    paths = [str(REPOSITORY), os.environ.get('PYTHONPATH', '')]
    monkeypatch.setenv('PYTHONPATH', os.pathsep.join(filter(None, paths)))
    notebook = nbformat.read(FOLDER / f'{name}.ipynb', as_version=4)
    NotebookClient(notebook, timeout=300).execute()
    return notebook.cells


def printed(cells):
    outputs = (output for cell in cells for output in cell.get('outputs', ()))
    lines = ''.join(output.get('text', '') for output in outputs).splitlines()
    return {line.split()[0]: float(line.split()[-1]) for line in lines if 'segm_' in line}


@pytest.mark.filterwarnings('default')  # those of Jupyter
@pytest.mark.parametrize('name', ['mask_score', 'judge_results'])
def test_mask_score_ranks_better(name, monkeypatch):
    figures = printed(run(name, monkeypatch))
    assert figures['segm_mAP_cls'] < figures['segm_mAP']


@pytest.mark.parametrize('path', sorted(FOLDER.glob('*.ipynb')), ids=lambda path: path.stem)
def test_cells_are_short(path):
    cells = nbformat.read(path, as_version=4).cells
    assert max(len(cell.source.splitlines()) for cell in cells) <= 12
