"""Declares what COCO files must hold, decodes them, and reports every value that does not fit."""

from __future__ import annotations

import gc
import json
import os
import re
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict, cast, get_type_hints

import msgspec
from msgspec import Meta

# A path, or what a file would hold.
JSONSource = str | os.PathLike | Mapping[str, Any] | Sequence[Mapping[str, Any]]
_SHOWN_PROBLEMS = 5


_ID = 'a text, an integer or a whole number up to 2**53'
_Name = Annotated[str, Meta(min_length=1)]
_WholeFloat = Annotated[float, Meta(multiple_of=1, ge=-(2**53), le=2**53)]
# A side of 16 bits keeps every run length and area within pycocotools' 32 bits.
_Side = Annotated[int, Meta(ge=1, le=2**16 - 1)]
_Run = Annotated[int, Meta(ge=0, le=2**32 - 1)]
# pycocotools casts coordinates to int without a check.
_Coordinate = Annotated[float, Meta(ge=-(2**17), le=2**17)]
_Extent = Annotated[float, Meta(ge=0, le=2**17)]
_PixelCount = Annotated[float, Meta(ge=0, le=2**32)]


class Rle(TypedDict):
    """A run-length encoded mask; the runs go down the columns."""

    size: Annotated[list[_Side], Meta(min_length=2, max_length=2)]
    counts: Annotated[list[_Run], Meta(min_length=1)] | _Name


Id = Annotated[int | _Name | _WholeFloat, Meta(description=f'{_ID}, listed as `id` in its section')]
_OwnId = Annotated[int | _Name | _WholeFloat, Meta(description=f'{_ID}, each given once')]
_Pixels = Annotated[
    _Side, Meta(description='an integer from 1 to 65535: the side of the stored image in pixels')
]
_Ids = Annotated[list[Id], Meta(description='a list of category ids')]
Segmentation = Annotated[
    list[list[_Coordinate]] | Rle,
    Meta(
        description='polygons of three points or more (x, y, …, in pixels), or an RLE with `size` '
        'and `counts`; boxes alone are no masks'
    ),
]
Score = Annotated[float, Meta(ge=-1e300, le=1e300, description='a finite number')]


class _Image(TypedDict):
    id: _OwnId
    height: _Pixels
    width: _Pixels


class Image(_Image, total=False):
    """An image; the lists of categories are LVIS's."""

    file_name: Annotated[
        _Name, Meta(description="the path of the image's file below the folder of images")
    ]
    neg_category_ids: _Ids
    not_exhaustive_category_ids: _Ids


class _Category(TypedDict):
    id: _OwnId
    name: Annotated[_Name, Meta(description='the name of the class')]


class Category(_Category, total=False):
    """A category; the frequency is LVIS's."""

    frequency: Annotated[Literal['r', 'c', 'f'], Meta(description="'r', 'c' or 'f', as in LVIS")]


class _Annotation(TypedDict):
    id: _OwnId
    image_id: Id
    category_id: Id
    segmentation: Segmentation


class Annotation(_Annotation, total=False):
    """An object of the ground truth."""

    area: Annotated[
        _PixelCount, Meta(description="a number of pixels, 0 to 2**32; left out, it is the mask's")
    ]
    bbox: Annotated[
        tuple[_Coordinate, _Coordinate, _Extent, _Extent],
        Meta(description="[x, y, width, height] in pixels; left out, it is the mask's"),
    ]
    iscrowd: Annotated[Literal[0, 1] | bool, Meta(description='0 or 1; left out, it is 0')]


class GroundTruthFile(TypedDict):
    """A file of annotations; what is not declared is not read."""

    images: list[Image]
    annotations: list[Annotation]
    categories: list[Category]


class Result(TypedDict):
    """A detection; further scores are declared by name when the file is read."""

    image_id: Id
    category_id: Id
    segmentation: Segmentation
    score: Score


@contextmanager
def paused_gc() -> Iterator[None]:
    """Stops the search for cycles: millions of new lists hold none, and it doubles the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def decode_ground_truth(source: JSONSource, name: str) -> dict[str, list[dict[str, Any]]]:
    """Decodes a COCO annotation file, or the dict that one holds, and checks each value alone."""
    raw = _raw(source, name)
    try:
        return cast(dict[str, Any], msgspec.json.decode(raw, type=GroundTruthFile))
    except (ValueError, RecursionError):
        content = _parsed(raw, name)
    if not isinstance(content, dict):
        hint = ' This may be a file of results.' if isinstance(content, list) else ''
        refuse(name, [f'holds {shown(content)}, expected an object with `images`.{hint}'])
    kinds = {'images': Image, 'annotations': Annotation, 'categories': Category}
    refuse(
        name,
        [
            f'`{section}` is {shown(content[section]) if section in content else "missing"}, '
            f'expected a list; the file has {reprlib.repr(sorted(content))}'
            for section in kinds
            if not isinstance(content.get(section), list)
        ],
    )
    problems: list[str] = []
    checked = {
        section: _items(content[section], kind, section, problems)
        for section, kind in kinds.items()
    }
    refuse(name, problems)
    return checked


def decode_results(source: JSONSource, name: str, kind: Any) -> list[dict[str, Any]]:
    """Decodes a file of results, or the list that one holds; ``kind`` is `Result` or wider."""
    raw = _raw(source, name)
    try:
        return msgspec.json.decode(raw, type=list[kind])
    except (ValueError, RecursionError):
        content = _parsed(raw, name)
    if not isinstance(content, list):
        truth = isinstance(content, dict) and 'images' in content
        hint = ' This is a file of ground truth.' if truth else ''
        refuse(name, [f'holds {shown(content)}, expected a list of results.{hint}'])
    problems: list[str] = []
    items = _items(content, kind, '', problems)
    refuse(name, problems)
    return items


def label(section: str, position: int, item: Any) -> str:
    """Names an entry of a file by its position and by the id it gives."""
    key = 'id' if section else 'image_id'
    identity = f' ({key} {shown(item[key])})' if isinstance(item, dict) and key in item else ''
    return f'{section}[{position}]{identity}'


def refuse(name: str, problems: Sequence[str]) -> None:
    """Raises a ValueError that shows the first problems and how many there are, if any."""
    if len(problems) == 1:
        raise ValueError(f'{name}: {problems[0]}')
    if problems:
        listed = '\n  '.join(problems[:_SHOWN_PROBLEMS])
        count = min(len(problems), _SHOWN_PROBLEMS)
        raise ValueError(f'{name}: {len(problems)} problems, the first {count}:\n  {listed}')


def _raw(source: Any, name: str) -> bytes:
    """Content that was given is read as a file that holds it, so both are read the same."""
    if isinstance(source, (str, os.PathLike)):
        return Path(source).read_bytes()
    try:
        return json.dumps(source, default=_plain).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f'{name}: cannot be written as JSON: {error}') from error


def _plain(value: Any) -> Any:
    """The JSON value of bytes (an RLE), and of numbers and arrays of numpy."""
    if isinstance(value, bytes):
        return value.decode('ascii')
    if hasattr(value, 'tolist'):
        return value.tolist()
    raise TypeError(f'{shown(value)} is a {type(value).__name__}')


def _parsed(raw: bytes, name: str) -> Any:
    """Parses what msgspec refused; Python's parser knows NaN, and says where a text ends."""
    kinds = {
        b'\x1f\x8b': 'is compressed by gzip: unpack it',
        b'PK\x03\x04': 'is a zip archive: unpack it',
        b'\xef\xbb\xbf': 'begins with a byte order mark (BOM): save it as UTF-8 without one',
    }
    found = [text for start, text in kinds.items() if raw.startswith(start)]
    if not raw.strip():
        found = ['is empty, expected JSON']
    refuse(name, found)
    try:
        return json.loads(raw.decode())
    except UnicodeDecodeError as error:
        raise ValueError(f'{name}: is no UTF-8 text, expected JSON: {error}') from error
    except (ValueError, RecursionError) as error:
        hint = 'write the file again; it may be truncated'
        raise ValueError(f'{name}: is no JSON ({error}): {hint}') from error


def _items(content: list, kind: Any, section: str, problems: list[str]) -> list[dict[str, Any]]:
    items = []
    for position, item in enumerate(content):
        try:
            items.append(msgspec.convert(item, kind))
        except msgspec.ValidationError as error:
            problem = _problem(item, kind, str(error))
            problems.append(f'{label(section, position, item)}: {problem}')
    return items


def _problem(item: Any, kind: Any, message: str) -> str:
    """Says field, value and what was expected, of msgspec's message about one entry."""
    if not isinstance(item, dict):
        return f'is {shown(item)}, expected an object'
    place = re.search(r' - at `\$(.*)`$', message)
    path = re.findall(r'\.([^.\[]+)|\[(\d+)\]', place[1]) if place else []
    value = item
    for key, position in path:
        value = value[int(position) if position else key]
    field = place[1].removeprefix('.') if place else ''
    missing = re.match('Object missing required field `(.*?)`', message)
    if missing:
        field = f'{field}.{missing[1]}'.removeprefix('.')
    head = re.split(r'[.\[]', field)[0]
    expected = get_type_hints(kind, include_extras=True)[head].__metadata__[-1].description
    return f'`{field}` is {"missing" if missing else shown(value)}, expected {expected}'


def shown(value: Any) -> str:
    """Returns a short text of a value from a file."""
    if isinstance(value, (dict, list)) and len(value) > 4:
        return f'{"an object" if isinstance(value, dict) else "a list"} of {len(value)} entries'
    return reprlib.repr(value)
