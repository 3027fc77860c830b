"""Writes the detections that `msrcnn fit` keeps beside its output as COCO results.

  cached_results.py OUT_cache GT_TRAIN.json DT_TRAIN.json

They are those of the trained model in the training images that the fit had time for.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch


def cached_results(folder: Path, categories: list[Any]) -> list[dict[str, Any]]:
    """Returns the results; ``categories`` are the ids of the model's labels."""
    return [
        dict(
            image_id=image['image_id'],
            category_id=categories[label],
            segmentation=mask,
            score=score,
        )
        for path in sorted(folder.glob('*.pt'))
        for image in torch.load(path, weights_only=True)
        for label, mask, score in zip(
            image['labels'].tolist(), image['masks'], image['scores'].tolist(), strict=True
        )
    ]


def main() -> None:
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    folder, annotations, out = map(Path, sys.argv[1:])
    listed = json.loads(annotations.read_bytes())['categories']
    categories = [category['id'] for category in listed]
    out.write_text(json.dumps(cached_results(folder, categories)), encoding='utf-8')


if __name__ == '__main__':
    main()
