"""Paths and commands as a page or a figure's file may show them: of no machine."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path


def shown_path(path: str | os.PathLike) -> str:
    """A path relative to the working directory where it lies below it; else its name alone.

    What was given relative and leads nowhere above stays as it was.
    """
    path = Path(path)
    if not path.is_absolute() and '..' not in path.parts:
        return str(path)
    relative = os.path.relpath(path)
    return path.name if relative.startswith(os.pardir) else relative


def shown_command(program: str, arguments: Sequence[str]) -> str:
    """A command line, quoted for a shell, its paths as `shown_path` gives them."""
    return shlex.join(['python', program, *map(_shown, arguments)])


def _shown(argument: str) -> str:
    """Also in ``--out=PATH`` and ``key=PATH``."""
    name, equals, value = argument.rpartition('=')
    is_path = os.path.isabs(value) or os.pardir in Path(value).parts
    return name + equals + (shown_path(value) if is_path else value)
