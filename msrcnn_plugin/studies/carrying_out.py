"""Runs a study's trainings and tests, some at a time, each in a process of its own."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import Any, Callable

from ..apis.child_process import answer, silent_end
from .inputs import require_unchanged
from .records import score
from .study import StudyRun
from .training import train


@dataclass(frozen=True)
class Progress:
    """Where a run is: ``stage`` is 'train', 'test', 'done' or 'failed'."""

    run: StudyRun
    stage: str
    iteration: int = 0  # of the training
    iterations: int = 0  # 0 where that is not known yet
    failure: str = ''


def carry_out(
    runs: Sequence[StudyRun],
    *,
    provenance: Mapping[str, Any],
    jobs: int = 1,
    notify: Callable[[Progress], None] = lambda progress: None,
) -> dict[str, str]:
    """Train and test every run that is not done, with the inputs that `prepare` noted.

    A run that fails ends no other. However this ends, no process is left.

    Args:
        provenance: what each record is to say of how it was made, beside its figures.
        jobs: how many runs at once.
        notify: called whenever a run has come further.

    Returns:
        what went wrong, by the label of the run.
    """
    waiting = deque(run for run in runs if not run.record_file.is_file())
    crew = _Crew(provenance, notify)
    try:
        while waiting or crew.active:
            while waiting and len(crew.active) < jobs:
                crew.begin(waiting.popleft())
            crew.hear()
    finally:
        for work in crew.active.values():
            work.end()
    return crew.failures


class _Crew:
    """The processes at work, each at one stage of a run."""

    def __init__(self, provenance: Mapping[str, Any], notify: Callable[[Progress], None]) -> None:
        self.active: dict[Connection, Work] = {}
        self.failures: dict[str, str] = {}
        self._provenance = provenance
        self._notify = notify

    def begin(self, run: StudyRun) -> None:
        work = start(run, self._provenance)
        self.active[work.connection] = work
        self._notify(Progress(run, work.stage))

    def hear(self) -> None:
        """Wait until any of them reports, and do what follows from it."""
        for connection in wait(list(self.active)):
            work = self.active[connection]
            message = work.receive()
            if isinstance(message, tuple):
                self._notify(Progress(work.run, work.stage, *message))
                continue
            del self.active[connection]
            work.end()
            self._ended(work, message)

    def _ended(self, work: Work, failure: str | None) -> None:
        run = work.run
        if failure is not None:
            self.failures[run.label] = f'{failure} (log: {run.log})'
            self._notify(Progress(run, 'failed', failure=self.failures[run.label]))
        elif work.stage == 'train':
            self.begin(run)  # the test, before any other training
        else:
            self._notify(Progress(run, 'done'))


@dataclass(frozen=True)
class Work:
    """A process at one stage of a run, and where it reports to."""

    run: StudyRun
    stage: str
    process: Any
    connection: Connection

    def receive(self) -> tuple[int, int] | str | None:
        """How far the training is; or, at the end, what went wrong, None for nothing."""
        try:
            return self.connection.recv()
        except (EOFError, ConnectionError):
            self.process.join()
            return silent_end(self.process.exitcode)

    def end(self) -> None:
        self.process.terminate()
        self.process.join()
        self.connection.close()


def start(run: StudyRun, provenance: Mapping[str, Any]) -> Work:
    """Begin the next stage of a run; training and test do not share a process and its memory."""
    context = multiprocessing.get_context('spawn')
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_in_child, args=(there, run, provenance))
    stage = run.next_stage
    process.start()
    there.close()
    return Work(run, stage, process, here)


def _in_child(connection: Connection, run: StudyRun, provenance: Mapping[str, Any]) -> None:
    answer(connection, run.log, partial(do_next_stage, connection, run, provenance))


def do_next_stage(connection: Connection, run: StudyRun, provenance: Mapping[str, Any]) -> None:
    """In this process. Where nobody listens any more, the next report ends the training."""
    require_unchanged(run)
    if run.next_stage == 'train':
        train(run, provenance, lambda *counts: connection.send(counts))
    else:
        score(run, provenance)
