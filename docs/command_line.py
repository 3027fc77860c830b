"""Writes the help of each `msrcnn` sub-command into the page that asks for it: a hook of mkdocs."""

from __future__ import annotations

import os
import subprocess
import sys

MARK = '<!-- commands -->'


def on_page_markdown(markdown: str, **_: object) -> str:
    """Replaces the mark by a section for each sub-command, as `--help` prints it."""
    if MARK not in markdown:
        return markdown
    from msrcnn_plugin.commands.main import COMMANDS

    sections = [f'```text\n{_help()}```']
    sections += [f'## msrcnn {name}\n\n```text\n{_help(name)}```' for name in COMMANDS]
    return markdown.replace(MARK, '\n\n'.join(sections))


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
