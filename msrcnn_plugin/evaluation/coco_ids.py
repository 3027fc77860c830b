"""Replaces the ids of COCO files by numbers from 1, and numbers by the ids again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .coco_schema import label, shown

_CATEGORY_LISTS = ('neg_category_ids', 'not_exhaustive_category_ids')  # of LVIS's images


def id_order(entry: Mapping[str, Any]) -> tuple[bool, Any]:
    """By id, as pycocotools goes through images: the order decides between equal scores."""
    return isinstance(entry['id'], str), entry['id']


def repeated(entries: Sequence[Any], section: str, field: str) -> list[str]:
    """Returns a problem for each entry that has the ``field`` of an earlier one."""
    given = {place: entry[field] for place, entry in enumerate(entries) if field in entry}
    if len(set(given.values())) == len(given) and len(set(map(type, given.values()))) < 2:
        return []
    hint = 'give each its own, and write all ids as one type'
    if field == 'name':
        hint = 'name them apart, or remove the group that Roboflow exports as category 0'
    first: dict[str, int] = {}
    problems = []
    for place, value in given.items():
        other = first.setdefault(_alias(value), place)
        if other != place:
            problems.append(
                f'{label(section, place, entries[place])}: `{field}` is {shown(value)}, and '
                f'{label(section, other, entries[other])} has {shown(given[other])}; {hint}'
            )
    return problems


def number_references(
    entries: Sequence[Any], section: str, image_ids: Sequence[Any], category_ids: Sequence[Any]
) -> list[str]:
    """Replaces ids of images and categories by numbers; returns the problem of each unknown one.

    Where there is a problem, nothing is replaced.
    """
    problems = []
    found = {}
    for field, listing, ids in (
        ('image_id', 'images', image_ids),
        ('category_id', 'categories', category_ids),
    ):
        found[field], wrong = _numbers([entry[field] for entry in entries], ids, listing)
        problems += [
            f'{label(section, place, entries[place])}: `{field}` is '
            f'{shown(entries[place][field])}, {text}'
            for place, text in wrong
        ]
    if not problems:
        for field, numbers in found.items():
            for entry, number in zip(entries, numbers):
                entry[field] = number
    return problems


def number_category_lists(images: Sequence[Any], category_ids: Sequence[Any]) -> list[str]:
    """Replaces the ids in LVIS's lists of categories; returns the problems."""
    problems = []
    for place, image in enumerate(images):
        for field in _CATEGORY_LISTS:
            if wanted := image.get(field):
                image[field], wrong = _numbers(wanted, category_ids, 'categories')
                name = label('images', place, image)
                problems += [
                    f'{name}: `{field}[{at}]` is {shown(wanted[at])}, {text}' for at, text in wrong
                ]
    return problems


def original_entries(
    entries: Sequence[Mapping[str, Any]], ids: Sequence[Any], category_ids: Sequence[Any]
) -> list[dict[str, Any]]:
    """Returns copies of images or categories with the file's ids, in LVIS's lists too."""
    return [
        {
            **entry,
            'id': identity,
            **{
                field: [category_ids[number - 1] for number in entry[field]]
                for field in _CATEGORY_LISTS
                if field in entry
            },
        }
        for entry, identity in zip(entries, ids)
    ]


def _alias(identity: Any) -> str:
    """What any reader may take an id for: 1, 1.0 and '1' have one alias."""
    return str(int(identity)) if isinstance(identity, float) else str(identity)


def _numbers(
    wanted: list[Any], ids: Sequence[Any], listing: str
) -> tuple[list[int], list[tuple[int, str]]]:
    """Numbers of ids from 1; of each id that is not listed as it is, its place and the problem."""
    index = {identity: number for number, identity in enumerate(ids, 1)}
    numbers = [index.get(identity, 0) for identity in wanted]
    if 0 not in numbers and len({*map(type, ids), *map(type, wanted)}) < 2:
        return numbers, []
    aliases = {_alias(identity): identity for identity in ids}
    wrong = []
    for place, identity in enumerate(wanted):
        listed = aliases.get(_alias(identity))
        if listed is None:
            text = f'which is not among the {len(ids)} ids in `{listing}` of the ground truth'
            wrong.append((place, f'{text}: correct the id, or add what it names'))
        elif type(listed) is not type(identity):
            wrong.append((place, f'but the listed id is {shown(listed)}: write both as one type'))
    return numbers, wrong
