"""Arguments and output that the sub-commands share."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..visualization.report import Table


def add_json(parser: argparse.ArgumentParser) -> None:
    """Adds ``--json FILE``."""
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures to this file')


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Adds ``--cfg-options KEY=VALUE ...``, which mmengine parses."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=ConfigOptions,
        metavar='KEY=VALUE',
        help='changes to the config, such as model.test_cfg.rcnn.score_thr=0.1',
    )


class ConfigOptions(argparse.Action):
    """mmengine's ``DictAction``, imported when the option is given: mmengine imports torch."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option: Any = None
    ) -> None:
        for value in values:
            if '=' not in value:
                parser.error(f'{option} {value}: give KEY=VALUE')
        from mmengine.config import DictAction

        DictAction(self.option_strings, self.dest, nargs='+')(parser, namespace, values, option)


def fraction(text: str) -> float:
    """Parses a number in [0, 1]."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f'{text!r}: give a number from 0 to 1')
    return number


def require_files(paths: Iterable[str | os.PathLike | None]) -> None:
    """Raises a FileNotFoundError for the first path that is no file; None is skipped."""
    for path in paths:
        if path is not None and not Path(path).is_file():
            raise FileNotFoundError(f'{path}: there is no such file')


def shown_command(command: str, words: Sequence[str]) -> str:
    """Returns the command line for a page: an absolute path is shown by its name alone."""
    shown = []
    for word in words:
        option, equals, value = word.rpartition('=')
        shown.append(option + equals + (Path(value).name if os.path.isabs(value) else value))
    return shlex.join(['msrcnn', command, *shown])


def print_table(table: Table) -> None:
    """Prints a table: drawn on a terminal, as Markdown elsewhere."""
    from ..visualization.report import markdown

    if not sys.stdout.isatty():
        print(f'{markdown(table)}\n')
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(title=table.title, title_justify='left', caption=table.note, box=box.ROUNDED)
    for index, name in enumerate(table.head):
        number = any(row[index].value is not None for row in table.rows)
        drawn.add_column(Text(name), justify='right' if number else 'left')
    for row in table.rows:
        drawn.add_row(*(Text(cell.text, style='bold' if cell.strong else '') for cell in row))
    Console().print(drawn)
