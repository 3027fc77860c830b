"""Runs mmdet's own test script: `mim test msrcnn_plugin CONFIG` looks for one in this folder."""

import runpy
from pathlib import Path

import mmdet

script = Path(mmdet.__file__).parent / '.mim' / 'tools' / 'test.py'
runpy.run_path(str(script), run_name='__main__')
