"""A model file in onnxruntime, and the preparation of images as the host prepares them."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ..image_problem import image_problem
from .prediction import Prediction

METADATA = 'msrcnn'  # the key of the file's metadata


class DeployedModel:
    """A model that `msrcnn export` wrote.

    Args:
        path: the file.
        providers: onnxruntime's execution providers, in the order of preference.
        threads: of an operator; 0 leaves it to onnxruntime.

    Attributes:
        metadata: what the file says of the model: classes, preparation of images, versions.

    Raises:
        ValueError: the file is no such model, or onnxruntime cannot run it.
        OSError: the file is not there.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        providers: Sequence[str] = ('CPUExecutionProvider',),
        threads: int = 0,
    ) -> None:
        if not Path(path).is_file():
            raise FileNotFoundError(f'{path}: there is no such file')
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        try:
            self.session = onnxruntime.InferenceSession(
                str(path), options, providers=list(providers)
            )
        except Exception as error:  # onnxruntime's errors have no common class
            raise ValueError(
                f'{path} cannot be run by onnxruntime {onnxruntime.__version__}: {error}. Give a '
                'file that msrcnn export wrote; it needs onnxruntime 1.17 or newer.'
            ) from error
        text = self.session.get_modelmeta().custom_metadata_map.get(METADATA)
        if text is None:
            raise ValueError(f'{path} was not written by msrcnn export, and says nothing of images')
        self.metadata: dict[str, Any] = json.loads(text)
        if self.metadata.get('kind') != 'detector':
            raise ValueError(f'{path} holds a MaskIoU head alone: export without --head-only')
        self.classes: list[str] = [c['name'] for c in self.metadata['categories']]
        self.category_ids: list[Any] = [c['id'] for c in self.metadata['categories']]

    def __call__(self, image: str | os.PathLike | NDArray[np.uint8]) -> Prediction:
        """Predicts the objects of an image.

        Args:
            image: a file, or (height, width, 3) uint8, BGR as OpenCV reads it.

        Raises:
            ValueError: the image cannot be read, or it is too large for a model of one size.
        """
        pixels = image if isinstance(image, np.ndarray) else read_image(image)
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
            raise ValueError(
                f'an image of {pixels.dtype} and shape {pixels.shape}; expected uint8, '
                '(height, width, 3), BGR'
            )
        resized = resize(pixels, **self.metadata['resize'])
        bboxes, labels, scores, mask_probs, mask_ious, mask_scores = self.session.run(
            None, self._inputs(resized)
        )
        height, width = pixels.shape[:2]
        factor = np.array([resized.shape[1] / width, resized.shape[0] / height], dtype=np.float32)
        return Prediction(
            size=(height, width),
            bboxes=bboxes / np.tile(factor, 2),
            labels=labels,
            class_names=[self.classes[label] for label in labels],
            scores=scores,
            mask_ious=mask_ious,
            mask_scores=mask_scores,
            mask_probs=mask_probs,
            mask_threshold=self.metadata['mask_threshold'],
        )

    def _inputs(self, resized: NDArray[np.uint8]) -> dict[str, NDArray]:
        meta = self.metadata
        if meta['preprocessing']:
            return dict(image=resized)
        valid_size = np.array(resized.shape[:2], dtype=np.int64)
        image = (resized[..., ::-1] if meta['swap_channels'] else resized).astype(np.float32)
        if meta['mean'] is not None:
            image = (image - np.float32(meta['mean'])) / np.float32(meta['std'])
        divisor = meta['pad_size_divisor']
        height, width = meta['size'] or -(-valid_size // divisor) * divisor
        below, right = height - valid_size[0], width - valid_size[1]
        if below < 0 or right < 0:
            raise ValueError(
                f'the resized image has {valid_size[0]} x {valid_size[1]} pixels, the model takes '
                f'{height} x {width} at most: export it with another --size, or without'
            )
        padding = ((0, below), (0, right), (0, 0))
        image = np.pad(image, padding, constant_values=meta['pad_value'])
        return dict(
            image=np.ascontiguousarray(image.transpose(2, 0, 1)[None]), valid_size=valid_size
        )


def read_image(path: str | os.PathLike) -> NDArray[np.uint8]:
    """Reads (height, width, 3) uint8, BGR, turned as its EXIF orientation says.

    Raises:
        ValueError: the file cannot be read whole.
        OSError: it is not there.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'{path}: there is no such file')
    problem = image_problem(path)  # OpenCV fills what is missing with grey
    pixels: Any = None if problem else cv2.imread(str(path), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ValueError(f'{path} cannot be read: {problem or "OpenCV does not know the format"}')
    return pixels


def resize(
    image: NDArray[np.uint8], *, scale: Sequence[int], keep_ratio: bool
) -> NDArray[np.uint8]:
    """Resizes an image as mmdet's ``Resize`` does.

    Args:
        scale: (width, height); with ``keep_ratio`` its longer one bounds the image's longer side.
    """
    height, width = image.shape[:2]
    if keep_ratio:
        factor = min(
            max(scale) / max(height, width),
            min(scale) / min(height, width),
        )
        size = int(width * factor + 0.5), int(height * factor + 0.5)
    else:
        size = scale[0], scale[1]
    resized: Any = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    return resized
