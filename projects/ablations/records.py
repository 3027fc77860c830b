"""The records of runs: JSON with one line a run, and the rule of which may stand in one table.

A record names study, run and seed; the config with its hash; the data's digests; versions and
device; commit and command of the training and of the test; and every figure.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import platform
import shlex
import statistics
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from msrcnn_plugin.files import atomic_write, read_json

HOST = ('torch', 'mmengine', 'mmcv', 'mmdet')
# Records of one study agree in these; those of one seed also in the weights that they start from.
CONDITIONS = ('versions', 'device', 'data')


def read_records(path: Path) -> list[dict[str, Any]]:
    """Reads the records of a file, none where there is no file."""
    return list(read_json(path).get('runs', [])) if path.is_file() else []


def write_records(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    lines = ',\n'.join(json.dumps(record, ensure_ascii=False) for record in records)
    with atomic_write(path) as stream:
        stream.write(f'{{"runs": [\n{lines}\n]}}\n'.encode())


def replace_records(path: Path, new: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
    """Adds records; those that agree with a new one in the values of ``names`` make room."""
    keys = [[record[name] for name in names] for record in new]
    others = [old for old in read_records(path) if [old[name] for name in names] not in keys]
    write_records(path, [*others, *new])
    print(path)


def require_comparable(path: Path, new: Mapping[str, Any]) -> bool:
    """Refuses a run that must not stand in one table with the records of its study.

    Args:
        new: the known part of its record.

    Returns:
        whether the file has the run already, with the same config.

    Raises:
        ValueError: the file has the run with another config, or has runs of the study that were
            made under other conditions.
    """
    study = [record for record in read_records(path) if record['study'] == new['study']]
    for old in study:
        if (old['run'], old['seed']) == (new['run'], new['seed']):
            _require_same(path, old, new, ['config_hash'])
            return True
    for old in study:
        _require_same(path, old, new, [*CONDITIONS, *['start'] * (old['seed'] == new['seed'])])
    return False


def _require_same(
    path: Path, old: Mapping[str, Any], new: Mapping[str, Any], names: Iterable[str]
) -> None:
    for name in names:
        if name in new and old[name] != new[name]:
            raise ValueError(
                f'{path} has {old["run"]}, seed {old["seed"]}, with another {name}: {old[name]}, '
                f'now {new[name]}. They do not compare: give another --results, or delete the '
                'lines of the old records'
            )


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


@cache
def file_digest(path: str | os.PathLike) -> str:
    if not Path(path).is_file():
        raise FileNotFoundError(f'no file {path}: the head of the config says how to name the data')
    return digest(Path(path).read_bytes())


def provenance(command: str) -> dict[str, Any]:
    """What figures are made with: commit ("-dirty" where changed), command, versions, device.

    Of an absolute path in the command the name stays: the folder is that of one machine.
    """
    import torch

    git = ['git', 'describe', '--always', '--dirty', '--abbrev=40', '--exclude=*']
    here = Path(__file__).parent
    commit = subprocess.run(git, cwd=here, capture_output=True, text=True, check=False).stdout
    versions = {name: importlib.import_module(name).__version__ for name in HOST}
    cpu = f'{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads'
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else cpu
    words = [Path(word).name if os.path.isabs(word) else word for word in shlex.split(command)]
    made = dict(commit=commit.strip(), command=shlex.join(words))
    return dict(**made, versions=versions, device=device)


def seconds_per_iter(folder: Path) -> float | None:
    """Median of the times that the training logged."""
    files = folder.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    times = [line['time'] for line in lines if 'loss' in line and 'time' in line]
    return statistics.median(times) if times else None
