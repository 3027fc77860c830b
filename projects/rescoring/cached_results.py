"""Writes COCO results with all their scores from what this plugin's commands leave.

  cached_results.py OUT_cache GT_TRAIN.json DT_TRAIN.json
  cached_results.py pairs.npz results.segm.json DT.json

The first writes the detections that `msrcnn fit` keeps: those of the trained model in the training
images that it had time for. The second adds class score, predicted IoU and mask score to the
results of a test, whose `score` is what the model ranks by.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a script, from anywhere

from msrcnn_plugin.evaluation import Matches


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


def scored_results(pairs: Path, results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the results with the scores of their test; ``score`` is the class score."""
    matches = Matches.load(pairs)
    for key in ('score', 'mask_iou', 'mask_score'):
        for place, value in zip(matches.result_index, matches.scores[key].tolist(), strict=True):
            results[place][key] = value
    return results


def main() -> None:
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    given, second, out = map(Path, sys.argv[1:])
    content = json.loads(second.read_bytes())
    if given.is_dir():
        found = cached_results(given, [category['id'] for category in content['categories']])
    else:
        found = scored_results(given, content)
    out.write_text(json.dumps(found), encoding='utf-8')


if __name__ == '__main__':
    main()
