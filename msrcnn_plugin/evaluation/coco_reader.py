"""Reads COCO files until `coco_files`, which validates them, takes its place."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def read_ground_truth(annotations: str | os.PathLike | dict) -> dict[str, Any]:
    """COCO annotations from a path or loaded JSON."""
    content = _loaded(annotations)
    if not isinstance(content, dict):
        raise ValueError(f'the annotations hold a {type(content).__name__}, expected an object')
    for name in ('images', 'annotations', 'categories'):
        if not isinstance(content.get(name), list):
            raise ValueError(f'the annotations have no list `{name}`')
    return content


def read_results(results: str | os.PathLike | list, ground_truth: dict[str, Any]) -> list[dict]:
    """COCO results (detections with masks) from a path or loaded JSON."""
    content = _loaded(results)
    if not isinstance(content, list):
        raise ValueError(f'the results hold a {type(content).__name__}, expected a list')
    images = {image['id'] for image in ground_truth['images']}
    for place, item in enumerate(content):
        for key in ('image_id', 'category_id', 'score', 'segmentation'):
            if key not in item:
                raise ValueError(f'result {place} lacks `{key}`')
        if item['image_id'] not in images:
            raise ValueError(
                f'result {place} is of image {item["image_id"]!r}, which the annotations lack'
            )
    return content


def _loaded(source: Any) -> Any:
    if not isinstance(source, (str, os.PathLike)):
        return source
    try:
        return json.loads(Path(source).read_bytes())
    except ValueError as error:
        raise ValueError(f'{source} is no JSON: {error}') from error
