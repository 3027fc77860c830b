"""A process that works for another: what it prints goes to a log, how it ended to the other."""

from __future__ import annotations

import os
import sys
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Callable


def answer(
    connection: Connection, log: Path, action: Callable[[], None], *, leave_terminal: bool = False
) -> None:
    """Act, and send what went wrong, in one line, or None; nothing where it is interrupted.

    Args:
        log: gets what the action prints, and the traceback; a file that is there goes on.
        leave_terminal: stderr, where progress bars are, stays the terminal's if it is one.
    """
    with open(log, 'a') as stream:
        os.dup2(stream.fileno(), sys.stdout.fileno())
        if not (leave_terminal and sys.stderr.isatty()):
            os.dup2(stream.fileno(), sys.stderr.fileno())
    try:
        action()
    except KeyboardInterrupt:
        return
    except Exception as error:
        # Its reader may look before this process ends.
        traceback.print_exc(file=sys.stdout)
        sys.stdout.flush()
        known = isinstance(error, (OSError, ValueError))
        connection.send(' '.join(f'{"" if known else type(error).__name__} {error}'.split()))
    else:
        connection.send(None)


def silent_end(exit_code: int | None) -> str:
    """What is said of a process that ended without an answer."""
    return f'its process ended with status {exit_code}: was it out of memory?'
