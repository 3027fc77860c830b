"""Runs mmdet's own train script: `mim train msrcnn_plugin CONFIG` looks for one in this folder."""

import runpy
from pathlib import Path

import mmdet

runpy.run_path(
    str(Path(mmdet.__file__).parent / '.mim' / 'tools' / 'train.py'), run_name='__main__'
)
