"""Keeps two calls from training in the same folder."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def only_call_in(folder: Path) -> Iterator[None]:
    """While it lasts, a second call for the folder gets a ValueError; a killed one leaves none."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / '.lock', 'w') as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f'another call is at work in {folder}: wait for it, or give another --work-dir'
            ) from None
        yield
