"""``python -m msrcnn_plugin`` is the command `msrcnn`."""

import sys

from .commands.main import main

if __name__ == '__main__':
    sys.exit(main())
