"""Writes the help of each `msrcnn` sub-command into the page that asks for it (a hook of mkdocs)."""

from __future__ import annotations

import os
import re
import subprocess
import sys

MARK = '<!-- commands -->'


def on_page_markdown(markdown: str, **_: object) -> str:
    """Replaces the mark by a section for each sub-command, as `--help` prints it."""
    return markdown.replace(MARK, _sections()) if MARK in markdown else markdown


def _sections() -> str:
    names = re.search(r'\{([\w,-]+)\}', _help())
    if names is None:
        raise ValueError('`msrcnn --help` lists no sub-command as {a,b,c}')
    parts = [f'## msrcnn {name}\n\n```text\n{_help(name)}```' for name in names[1].split(',')]
    return '\n\n'.join(parts)


def _help(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, '-m', 'msrcnn_plugin', *command, '--help'],
        capture_output=True,
        text=True,
        env={**os.environ, 'COLUMNS': '90'},
    )
    if done.returncode:
        raise RuntimeError(f'`msrcnn {" ".join(command)} --help` fails: {done.stderr}')
    return done.stdout
