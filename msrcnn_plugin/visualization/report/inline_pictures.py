"""Figures as text that stands within a page: SVG that takes the page's colours, or JPEG."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from html import escape

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

from ..palette import DARK

_COLOUR = re.compile('|'.join(DARK))
_JPEG_QUALITY = 88


def colour_variable(colour: str) -> str:
    """The custom property that stands for a colour of the palette in the page's style sheet."""
    return f'--c{colour.lstrip("#")}'


def inline_svg(figure: Figure, label: str) -> Markup:
    """The figure as an ``<svg>`` element without a ground, as wide as what it stands in.

    Its text stays text, in the page's font; its colours of the palette become the page's custom
    properties, so that they follow a dark mode. What it refers to within itself is named by a hash,
    so that many figures share a page.

    Args:
        label: what a screen reader says; another one for each picture of a page.
    """
    stream = io.StringIO()
    with mpl.rc_context({'svg.fonttype': 'none', 'svg.hashsalt': 'msrcnn_plugin'}):
        figure.savefig(stream, format='svg', transparent=True, metadata={'Date': None})
    text = stream.getvalue()
    text = text[text.index('<svg') :]
    text = re.sub(r'<metadata>.*?</metadata>', '', text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', '<g', text)
    text = _own_names(text, label)
    text = _COLOUR.sub(lambda found: f'var({colour_variable(found.group())})', text)
    attributes = f'<svg role="img" aria-label="{escape(label, quote=True)}"'
    head, rest = text.split('>', 1)
    head = re.sub(r' (width|height)="[^"]*pt"', '', head)
    return Markup(head.replace('<svg', attributes, 1) + '>' + re.sub(r'>\s+<', '><', rest))


def _own_names(text: str, label: str) -> str:
    """Every name that the picture refers to, with a hash of the picture before it.

    Two models may have the same picture: the label tells them apart.
    """
    prefix = 'f' + hashlib.sha256((label + text).encode()).hexdigest()[:10]
    text = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}\1"', text)
    return re.sub(r'((?:xlink:href|href)="#|url\(#)', rf'\1{prefix}', text)


def inline_jpeg(figure: Figure, dpi: int = 110) -> str:
    """The figure as a data URI."""
    stream = io.BytesIO()
    figure.savefig(stream, format='jpeg', dpi=dpi, pil_kwargs={'quality': _JPEG_QUALITY})
    return 'data:image/jpeg;base64,' + base64.b64encode(stream.getvalue()).decode()
