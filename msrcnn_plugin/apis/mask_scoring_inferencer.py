"""mmdet's inferencer, which leaves the mask score out of its JSON and its pictures, with it."""

from __future__ import annotations

import os.path as osp
from typing import Any

import mmengine
from mmdet.apis import DetInferencer
from mmdet.registry import VISUALIZERS
from mmdet.structures import DetDataSample
from mmdet.visualization import DetLocalVisualizer

MASK_FIELDS = ('mask_ious', 'mask_scores')


class MaskScoringInferencer(DetInferencer):
    """``DetInferencer``, called as mmdet's is, for a model with mask scoring.

    Predictions, returned and written as JSON, gain ``mask_ious`` and ``mask_scores``; pictures show
    both, the best mask on top. A model without a MaskIoU head gives what mmdet's inferencer gives.

    A call takes two arguments beside mmdet's: ``mask_score_thr`` and ``mask_iou_thr``, in [0, 1].
    Masks below either are left out of everything that is returned, written and drawn.
    ``pred_score_thr`` stays mmdet's: of the class score, of pictures alone.

    Example:
        >>> inferencer = MaskScoringInferencer('config.py', 'epoch_12.pth')
        >>> inferencer('images/', batch_size=4, out_dir='out', no_save_pred=False,
        ...            mask_iou_thr=0.5)
    """

    forward_kwargs: set = DetInferencer.forward_kwargs | {'mask_score_thr', 'mask_iou_thr'}

    def forward(
        self, inputs: Any, mask_score_thr: float = 0.0, mask_iou_thr: float = 0.0, **kwargs: Any
    ) -> list[DetDataSample]:
        samples = super().forward(inputs, **kwargs)
        limits = dict(mask_scores=mask_score_thr, mask_ious=mask_iou_thr)
        for field, limit in limits.items():
            if limit > 0:
                _keep_from(samples, field, limit)
        return samples

    def pred2dict(self, data_sample: DetDataSample, pred_out_dir: str = '') -> dict:
        if data_sample.get('img_path') is None:
            # An array has none, and the host takes the None for a path; without it, it counts.
            data_sample.pop('img_path', None)
        name = self.num_predicted_imgs
        if 'img_path' in data_sample:
            name = osp.splitext(osp.basename(data_sample.img_path))[0]
        result = super().pred2dict(data_sample, pred_out_dir)
        instances = data_sample.pred_instances
        added = {field: instances[field].tolist() for field in MASK_FIELDS if field in instances}
        if added and pred_out_dir:
            # The host has written the file without them.
            mmengine.dump({**result, **added}, osp.join(pred_out_dir, 'preds', f'{name}.json'))
        return {**result, **added}

    def _init_visualizer(self, cfg: Any):
        kind = cfg.visualizer.type
        if isinstance(kind, str):  # In a config of pure Python it is the class itself.
            kind = VISUALIZERS.get(kind)
        if kind is DetLocalVisualizer:
            cfg.visualizer.type = 'MaskScoringVisualizer'
        return super()._init_visualizer(cfg)


def _keep_from(samples: list[DetDataSample], field: str, limit: float) -> None:
    """Drop instances whose ``field`` is below ``limit``, in place."""
    for sample in samples:
        instances = sample.pred_instances
        if field not in instances:
            raise ValueError(
                f'a threshold of {limit} for {field}, which this model does not predict; expected '
                "a model with a MaskIoU head (roi_head=dict(type='MSRoIHead', ...)): leave it out"
            )
        sample.pred_instances = instances[instances[field] >= limit]
