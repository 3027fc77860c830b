"""Extends mmdet's inferencer, whose JSON and pictures lack the mask score."""

from __future__ import annotations

import functools
import itertools
import os
import os.path as osp
from typing import Any

import mmengine
from mmdet.apis import DetInferencer
from mmdet.registry import VISUALIZERS
from mmdet.structures import DetDataSample
from mmdet.visualization import DetLocalVisualizer

from ..evaluation.threshold import read_threshold
from .review_queue import FIELDS

MASK_FIELDS = ('mask_ious', 'mask_scores')


class MaskScoringInferencer(DetInferencer):
    """Runs a model with mask scoring; called as mmdet's ``DetInferencer`` is.

    Predictions, returned and written as JSON, gain ``mask_ious`` and ``mask_scores``. Pictures show
    both, the best mask on top. A model without a MaskIoU head gives what mmdet's inferencer gives.

    ``c.jpg`` and ``c.png`` of one folder become ``c.json`` and ``c.png.json``; mmdet keeps one.

    A call takes three arguments beside mmdet's: ``mask_score_thr`` and ``mask_iou_thr``, in [0, 1],
    and ``threshold``, a file that `msrcnn threshold --json` wrote.
    Masks below any of them are left out of everything that is returned, written and drawn.
    ``pred_score_thr`` stays mmdet's: it limits the class score, in pictures alone.

    Example:
        >>> inferencer = MaskScoringInferencer('config.py', 'epoch_12.pth')
        >>> inferencer('images/', batch_size=4, out_dir='out', no_save_pred=False,
        ...            mask_iou_thr=0.5)
    """

    forward_kwargs: set = DetInferencer.forward_kwargs | {
        *('mask_score_thr', 'mask_iou_thr', 'threshold')
    }

    def forward(
        self,
        inputs: Any,
        mask_score_thr: float = 0.0,
        mask_iou_thr: float = 0.0,
        threshold: str | os.PathLike | None = None,
        **kwargs: Any,
    ) -> list[DetDataSample]:
        limits = [('mask_scores', mask_score_thr), ('mask_ious', mask_iou_thr)]
        if threshold is not None:
            key, limit = read_threshold(threshold)
            limits.append((FIELDS.get(key, key), limit))
        samples = super().forward(inputs, **kwargs)
        for field, limit in limits:
            if limit > 0:
                _keep_from(samples, field, limit)
        return samples

    def pred2dict(self, data_sample: DetDataSample, pred_out_dir: str = '') -> dict:
        path = data_sample.get('img_path')
        if path is None:
            # An array has none, and the host takes the None for a path; without it, it counts.
            data_sample.pop('img_path', None)
            file = osp.join(pred_out_dir, 'preds', f'{self.num_predicted_imgs}.json')
        else:
            file = self._file_of(path, pred_out_dir)
            data_sample.set_metainfo(dict(img_path=file))  # the host names its file by the stem
        result = super().pred2dict(data_sample, pred_out_dir)
        if path is not None:
            data_sample.set_metainfo(dict(img_path=path))
        instances = data_sample.pred_instances
        added = {field: instances[field].tolist() for field in MASK_FIELDS if field in instances}
        if added and pred_out_dir:
            # The host has written the file without them.
            mmengine.dump({**result, **added}, file)
        return {**result, **added}

    @functools.cached_property
    def _image_of(self) -> dict[str, str]:
        """Which image's prediction a JSON file holds."""
        return {}

    def _file_of(self, path: str, folder: str) -> str:
        """Returns the JSON file of an image: named by its stem, unless another image has it."""
        name = osp.basename(path)
        numbered = (f'{name}.{number}' for number in itertools.count(2))
        stems = itertools.chain([osp.splitext(name)[0], name], numbered)
        files = (osp.join(folder, 'preds', f'{stem}.json') for stem in stems)
        return next(file for file in files if self._image_of.setdefault(file, path) == path)

    def _init_visualizer(self, cfg: Any) -> Any:
        kind = cfg.visualizer.type
        if isinstance(kind, str):  # In a config of pure Python it is the class itself.
            kind = VISUALIZERS.get(kind)
        if kind is DetLocalVisualizer:
            cfg.visualizer.type = 'MaskScoringVisualizer'
        return super()._init_visualizer(cfg)


def _keep_from(samples: list[DetDataSample], field: str, limit: float) -> None:
    """Drops instances whose ``field`` is below ``limit``, in place."""
    for sample in samples:
        instances = sample.pred_instances
        if field not in instances:
            raise ValueError(
                f'a threshold of {limit} for {field}, which this model does not predict; expected '
                "a model with a MaskIoU head (roi_head=dict(type='MSRoIHead', ...)): leave it out"
            )
        sample.pred_instances = instances[instances[field] >= limit]
