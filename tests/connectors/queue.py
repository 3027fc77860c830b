"""A review queue of two images, by hand."""

import numpy as np
from pycocotools import mask as mask_utils


def rle_of(mask):
    rle = mask_utils.encode(np.asfortranarray(mask.astype(np.uint8)))
    return dict(rle, counts=rle['counts'].decode())


def disc(radius, x, y, size=(60, 80)):
    rows, columns = np.mgrid[: size[0], : size[1]]
    return (columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2 <= radius**2


def queue():
    """A disc that meets the border, and one in two parts with a hole."""
    holed = disc(18, 25, 30) & ~disc(6, 25, 30) | disc(8, 65, 15)
    annotations = [
        dict(id=1, image_id=2, category_id=7, score=0.5, mask_iou=0.25, mask_score=0.125),
        dict(id=2, image_id=1, category_id=3, score=0.75, mask_iou=0.5, mask_score=0.375),
    ]
    for annotation, mask in zip(annotations, (disc(20, 5, 30), holed)):
        rle = rle_of(mask)
        annotation.update(
            segmentation=rle,
            area=float(mask.sum()),
            bbox=mask_utils.toBbox(rle).tolist(),
            iscrowd=0,
        )
    return dict(
        images=[
            dict(id=1, file_name='a.png', height=60, width=80),
            dict(id=2, file_name='b.png', height=60, width=80),
            dict(id=3, file_name='c.png', height=60, width=80),
        ],
        annotations=annotations,
        categories=[dict(id=3, name='cell'), dict(id=7, name='"odd" & rare')],
    )
