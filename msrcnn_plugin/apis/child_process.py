"""A process that works for another: what it prints goes to a log, how it ended to the other."""

from __future__ import annotations

import multiprocessing
import os
import sys
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Thread
from typing import Callable


def answer(
    connection: Connection, log: Path, action: Callable[[], None], *, leave_terminal: bool = False
) -> None:
    """Act, and send what went wrong, in one line, or None; nothing where it is interrupted.

    The process ends as soon as the one that started it has, however that ended.

    Args:
        log: gets what the action prints, and the traceback; a file that is there goes on.
        leave_terminal: stderr, where progress bars are, stays the terminal's if it is one.
    """
    Thread(target=_end_with_parent, daemon=True).start()
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
        connection.send(in_one_line(error))
    else:
        connection.send(None)


def in_one_line(error: Exception) -> str:
    """What an error says, never nothing; with its type where that is not said to people."""
    text = ' '.join(str(error).split())
    known = isinstance(error, (OSError, ValueError)) and text
    return text if known else f'{type(error).__name__} {text}'.rstrip()


def silent_end(exit_code: int | None) -> str:
    """What is said of a process that ended without an answer."""
    return f'its process ended with status {exit_code}: was it out of memory?'


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    # Of the whole process: what it still does is for nobody, and its folder may be another's now.
    os._exit(1)
