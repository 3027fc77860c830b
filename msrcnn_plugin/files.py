"""Files that appear whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


@contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[IO[bytes]]:
    """A stream of bytes that becomes the file at ``path`` when the block ends without an error.

    Makes the folders above it; a file that was there stays as it was until then.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'.{path.name}.{os.getpid()}.partial')
    try:
        with open(partial, 'wb') as stream:
            yield stream
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def require_writable(path: str | os.PathLike) -> None:
    """Creates the folder of a file that will be written later, and checks that it takes files.

    Raises:
        OSError: names the path, where the folder cannot be made or written to, or the path is a
            folder itself.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f'{path} is a folder: give the name of a file')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Permissions do not tell: root, read-only disks and quotas.
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        reason = error.strerror or error
        raise OSError(f'{path} cannot be written ({reason}): give another path') from error


def read_json(path: str | os.PathLike) -> dict[str, Any]:
    """What `write_json` wrote of a dict.

    Raises:
        ValueError: names the file, where it holds something else.
        FileNotFoundError: it is not there.
    """
    try:
        content = json.loads(Path(path).read_bytes())
    except ValueError as error:
        raise ValueError(f'{path} is no JSON ({error}): restore it, or delete it') from error
    if not isinstance(content, dict):
        raise ValueError(f'{path} holds no JSON object: restore it, or delete it')
    return content


def write_json(path: str | os.PathLike, content: Any) -> None:
    """``content`` as a `atomic_write`, indented."""
    with atomic_write(path) as stream:
        stream.write((json.dumps(content, indent=1) + '\n').encode())
