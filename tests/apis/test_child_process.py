"""A process that works for another: what it says of an error, and that it does not outlive it."""

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from msrcnn_plugin.apis.child_process import in_one_line

ROOT = Path(__file__).parents[2]
# Starts a process that holds a file while it lives, and is killed while that works.
PARENT = """
import multiprocessing, os, pathlib, signal, sys
CHILD = '''
import fcntl, time
from msrcnn_plugin.apis.child_process import answer
stream = open(folder / 'held', 'w')
fcntl.flock(stream, fcntl.LOCK_EX)
def work():
    connection.send('at work')
    time.sleep(20)
    stream.write('outlived its parent')
    stream.flush()
answer(connection, folder / 'log.txt', work)
'''
context = multiprocessing.get_context('spawn')
here, there = context.Pipe(duplex=False)
names = dict(connection=there, folder=pathlib.Path(sys.argv[1]))
context.Process(target=exec, args=(CHILD, names)).start()
here.recv()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_it_ends_with_the_process_that_started_it(tmp_path):
    done = subprocess.run([sys.executable, '-c', PARENT, tmp_path], cwd=ROOT)
    assert done.returncode == -9
    with open(tmp_path / 'held') as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert stream.read() == ''


@pytest.mark.parametrize(
    ('error', 'expected'),
    [
        (OSError(), 'OSError'),
        (ValueError('no\n  such'), 'no such'),
        (KeyError('a'), "KeyError 'a'"),
        (RuntimeError(), 'RuntimeError'),
    ],
)
def test_an_error_is_said_in_one_line_that_is_never_empty(error, expected):
    assert in_one_line(error) == expected
