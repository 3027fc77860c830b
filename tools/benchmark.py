"""`msrcnn benchmark` by its former path, with the package of this checkout."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

if __name__ == '__main__':
    from msrcnn_plugin.commands.main import main

    sys.exit(main(['benchmark', *sys.argv[1:]]))
