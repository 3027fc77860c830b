"""README and the pages of the site, and the code that they show."""

from __future__ import annotations

import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
README = REPOSITORY / 'README.md'
PAGES = [README, *sorted((REPOSITORY / 'docs').rglob('*.md'))]
_FENCE = re.compile(r'^ *```(\w*)[^\n]*\n(.*?)^ *```', re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and code of each fenced block of a page."""
    return _FENCE.findall(page.read_text())


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub('', page.read_text())


def code(page: Path) -> str:
    """Fenced blocks and inline code of a page."""
    spans = re.findall(r'`([^`\n]+)`', prose(page))
    return '\n'.join([code for _, code in blocks(page)] + spans)


def configs(page: Path) -> list[str]:
    """The Python blocks of a page that are a config of a user's own."""
    found = (code for language, code in blocks(page) if language == 'python')
    return [code for code in found if re.match(r'(# \w+\.py\n)?_base_ = ', code)]
