"""What the commands' argument parsers have in common."""

import argparse


class Parser(argparse.ArgumentParser):
    """Answers wrong arguments with one line and exit status 2."""

    def error(self, message):
        self.exit(2, f'{self.prog}: {message}; see --help\n')
