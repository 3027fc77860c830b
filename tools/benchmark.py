"""Runs `msrcnn benchmark` of this checkout."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from msrcnn_plugin.commands import benchmark

if __name__ == '__main__':
    parser = argparse.ArgumentParser(
        description=benchmark.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    benchmark.add_arguments(parser)
    try:
        sys.exit(benchmark.run(parser.parse_args()))
    except ValueError as error:
        parser.error(str(error))
