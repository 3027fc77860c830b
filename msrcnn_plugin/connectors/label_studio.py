"""Writes masks with their scores as predictions of Label Studio: polygons in percent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as mask_utils

LOCAL_FILES = '/data/local-files/?d={file_name}'
TOLERANCE = 0.5  # pixels by which a polygon may leave the mask's outline


def label_studio_config(categories: Sequence[Mapping[str, Any]]) -> str:
    """Returns the labelling interface that the tasks of `label_studio_tasks` need."""
    labels = ''.join(f'<Label value={quoteattr(each["name"])}/>' for each in categories)
    return (
        '<View><Image name="image" value="$image"/>'
        f'<PolygonLabels name="label" toName="image">{labels}</PolygonLabels></View>'
    )


def label_studio_tasks(
    dataset: Mapping[str, Any], image_url: str = LOCAL_FILES
) -> list[dict[str, Any]]:
    """Makes a task of each image, with its masks as one prediction.

    A region's score is its mask score, or its score where it has none. A prediction's score is the
    lowest of its regions, so that sorting by it shows the most doubtful image first. A mask of
    several parts becomes a region for each; holes are filled. Images without masks have a task.

    Args:
        dataset: a COCO data set such as `review_queue` makes; masks as RLE.
        image_url: where Label Studio finds an image, with ``{file_name}``.
    """
    names = {category['id']: category['name'] for category in dataset['categories']}
    regions: defaultdict[Any, list[dict[str, Any]]] = defaultdict(list)
    for each in dataset['annotations']:
        regions[each['image_id']] += _regions(each, names[each['category_id']])
    return [
        dict(
            data=dict(image=image_url.format(file_name=image['file_name'])),
            predictions=[
                dict(
                    model_version='msrcnn_plugin',
                    score=min((region['score'] for region in regions[image['id']]), default=None),
                    result=regions[image['id']],
                )
            ],
        )
        for image in dataset['images']
    ]


def _regions(annotation: Mapping[str, Any], label: str) -> Iterator[dict[str, Any]]:
    height, width = annotation['segmentation']['size']
    for number, points in enumerate(outlines(annotation['segmentation'])):
        percent = 100 * points / (width, height)
        yield dict(
            id=f'{annotation["id"]}-{number}',
            from_name='label',
            to_name='image',
            type='polygonlabels',
            original_width=width,
            original_height=height,
            image_rotation=0,
            value=dict(points=percent.tolist(), closed=True, polygonlabels=[label]),
            score=annotation.get('mask_score', annotation['score']),
        )


def outlines(rle: Mapping[str, Any]) -> Iterator[NDArray[np.float64]]:
    """Yields the outer outline (n, 2) of each part of a mask, x and y in pixels of the image."""
    from contourpy import contour_generator
    from shapely import Polygon

    x, y, width, height = mask_utils.toBbox(rle).astype(int)
    window = mask_utils.decode(rle)[y : y + height, x : x + width]
    # Values lie at the middle of a pixel; a margin closes outlines that meet the border.
    contours = contour_generator(z=np.pad(window, 1).astype(float), fill_type='OuterOffset')
    for points, offsets in zip(*contours.filled(0.5, 2)):
        outer = np.add(points[: offsets[1]], (x - 0.5, y - 0.5))
        yield np.array(Polygon(outer).simplify(TOLERANCE).exterior.coords)[:-1]
