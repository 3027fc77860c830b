"""The command `msrcnn`: finds the sub-command, and turns its errors into a line and a status.

A sub-command is a module of this package. Its docstring is its help, ``add_arguments(parser)``
declares its arguments, and ``run(args)`` returns the exit status. It raises a ValueError or an
OSError for an input that it cannot use.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

COMMANDS = {
    'init': "write a config for one's own data",
    'report': 'write a page of what the mask scores of a model are worth',
    'compare': 'put several models side by side',
    'calibrate': 'make the predicted IoU mean what it says',
    'threshold': 'find the score from which on masks are good, with a proof',
    'rescore': 'give the masks of any model better scores',
    'fit': 'add mask scores to a trained model',
    'convert': "turn the authors' or a Mask R-CNN checkpoint into one of this plugin",
    'export': 'write a trained model as an ONNX file',
    'predict': 'run an exported model on a folder of images',
    'review': 'list the masks that a human should look at',
    'benchmark': 'measure speed and memory against the stock heads',
    'doctor': 'check the installation, and say what to do about each problem',
}
BAD_INPUT, INTERRUPTED = 2, 130


class Parser(argparse.ArgumentParser):
    """Reports wrong arguments in one line, with exit status 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f'{self.prog}: {message}; see --help\n')


class _Version(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help='show the version and exit')

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        from importlib import metadata  # as slow as all of the help

        print('msrcnn', metadata.version('msrcnn_plugin'))
        parser.exit()


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit status: 0, 2 for bad input, 130 for Ctrl-C.

    Raises:
        SystemExit: after ``--help`` and ``--version``, and for wrong arguments.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    try:
        parser, command = _parser(words)
        args = parser.parse_args(words)
        args.words = words[1:]
        return command.run(args)
    except KeyboardInterrupt:
        print('\nmsrcnn: interrupted', file=sys.stderr)
        return INTERRUPTED
    except ImportError as error:
        return _failed(words, f'{error}. `msrcnn doctor` says what is missing here')
    except (OSError, ValueError) as error:
        return _failed(words, str(error))


def _parser(words: Sequence[str]) -> tuple[Parser, Any]:
    """Returns the parser, and the module of the sub-command that the words name."""
    parser = Parser('msrcnn', description='Mask scores: train, judge and use them.')
    parser.add_argument('--version', action=_Version)
    commands = parser.add_subparsers(metavar='COMMAND', required=True)
    module = None
    for name, summary in COMMANDS.items():
        sub = commands.add_parser(
            name, help=summary, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        sub.add_argument('--version', action=_Version)
        if words[:1] == [name]:
            module = importlib.import_module(f'.{name}', __package__)
            sub.description = module.__doc__
            module.add_arguments(sub)
    return parser, module


def _failed(words: Sequence[str], message: str) -> int:
    print(f'msrcnn {words[0]}: {" ".join(message.split())}', file=sys.stderr)
    return BAD_INPUT
