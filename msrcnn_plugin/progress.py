"""Shows progress of a function that is called many times, on a terminal only."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_UPDATES = 500


@contextmanager
def progress_bar(title: str, total: int) -> Iterator[Callable[[Callable], Callable]]:
    """Yields a decorator: each call of what it decorates is a step.

    Where there is no terminal it hands the function back as it is.
    """
    from rich.console import Console  # slow to import
    from rich.progress import Progress

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda function: function
        return
    stride, done = max(1, total // _UPDATES), 0
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task(title, total=total)

        def counted(function: Callable) -> Callable:
            @functools.wraps(function)
            def step(*args: Any, **kwargs: Any) -> Any:
                nonlocal done
                done += 1
                if done % stride == 0:
                    progress.update(task, completed=done)
                return function(*args, **kwargs)

            return step

        yield counted
