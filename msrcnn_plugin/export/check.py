"""Compares an exported file with the host on images: what both predict, and how long they take."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np
import torch
from mmdet.apis import inference_detector
from numpy.typing import NDArray

from ..deploy import DeployedModel, Prediction
from ..deploy.model import read_image
from .deployment import DeploymentModel

COMPARED = ('bboxes', 'scores', 'mask_ious', 'mask_scores')


class TorchSession:
    """Runs the deployment module in torch, called as a session of onnxruntime is."""

    def __init__(self, model: Any) -> None:
        self.deployed = DeploymentModel(model)

    @torch.no_grad()
    def run(self, _: None, inputs: dict[str, NDArray]) -> list[NDArray]:
        """Returns the outputs as arrays."""
        tensors = [torch.from_numpy(array) for array in inputs.values()]
        return [output.numpy() for output in self.deployed(*tensors)]


def check_file(
    model: Any, path: str | os.PathLike, images: Sequence[os.PathLike], threads: int = 1
) -> dict[str, Any]:
    """Predicts images with the host, the deployment module in torch, and the file in onnxruntime.

    The three take turns on each image. A prediction begins with pixels and ends with pasted masks.

    Args:
        model: that the file was exported from.
        path: of a detector that takes prepared images.

    Returns:
        ``seconds`` of each, the median; ``ratios`` to the host, medians over the images;
        ``detections``; ``other_detections``, the images where number or labels of the detections
        differ from the host's; of the other images the largest ``differences``.
    """
    deployed = DeployedModel(path, threads=threads)
    eager = copy.copy(deployed)
    # A graph that normalises the image has a torch module of its own.
    eager.session, eager.metadata = (
        TorchSession(model),
        dict(deployed.metadata, preprocessing=False),
    )
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    times: dict[str, list[float]] = dict(host=[], torch=[], onnxruntime=[])
    differences = dict.fromkeys(COMPARED, 0.0)
    detections, others = 0, 0
    try:
        for number, file in enumerate([images[0], *images]):  # the first one also to warm up
            pixels = read_image(file)
            runs = dict(
                host=lambda: inference_detector(model, pixels).pred_instances.numpy(),  # noqa: B023
                torch=lambda: with_masks(eager(pixels)),  # noqa: B023
                onnxruntime=lambda: with_masks(deployed(pixels)),  # noqa: B023
            )
            found = {}
            for name, run in runs.items():
                start = time.perf_counter()
                found[name] = run()
                if number:
                    times[name].append(time.perf_counter() - start)
            if not number:
                continue
            expected, given = found['host'], found['onnxruntime']
            detections += len(expected)
            if not np.array_equal(expected.labels, given.labels):
                others += 1
                continue
            for field in COMPARED:
                gap = np.abs(getattr(given, field) - expected[field])
                differences[field] = max(differences[field], float(gap.max(initial=0)))
    finally:
        torch.set_num_threads(before)
    ratios = {
        name: median(own / host for own, host in zip(seconds, times['host']))
        for name, seconds in times.items()
    }
    return dict(
        images=len(images),
        detections=detections,
        other_detections=others,
        differences=differences,
        threads=threads,
        seconds={name: median(seconds) for name, seconds in times.items()},
        ratios=ratios,
    )


def with_masks(prediction: Prediction) -> Prediction:
    """Returns a prediction after its masks are pasted, as the host's are."""
    _ = prediction.masks
    return prediction
