"""Trains and tests the rows of projects/ablations/table.py: projects/ablations/run.py."""

import runpy
from pathlib import Path

if __name__ == '__main__':
    run = Path(__file__).resolve().parents[1] / 'projects' / 'ablations' / 'run.py'
    runpy.run_path(str(run), run_name='__main__')
