"""Checks the installation and says what to do about each problem; exit status 1 if there is one.

example:
  msrcnn doctor
"""

from __future__ import annotations

import argparse

from .arguments import add_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `msrcnn doctor`."""
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Prints the findings; returns 1 where one is a problem."""
    from ..doctor import main

    return main(['--json', str(args.json)] if args.json else [])
