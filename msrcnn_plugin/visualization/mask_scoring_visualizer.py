"""mmdet's own pictures of predictions, with the mask score and the predicted IoU."""

from __future__ import annotations

from collections.abc import Sequence

from mmdet.registry import VISUALIZERS
from mmdet.visualization import DetLocalVisualizer
from mmengine.structures import InstanceData
from numpy.typing import NDArray


@VISUALIZERS.register_module()
class MaskScoringVisualizer(DetLocalVisualizer):
    """``DetLocalVisualizer`` that writes "car (IoU 81): 74.6", both numbers in percent.

    The second is the mask score, by which masks lie on each other: the best is on top. Ground truth
    and predictions without ``mask_ious`` are drawn as mmdet draws them. ``pred_score_thr`` is of
    the class score, as there.
    """

    def _draw_instances(
        self,
        image: NDArray,
        instances: InstanceData,
        classes: Sequence[str] | None,
        palette: Sequence[tuple] | None,
    ) -> NDArray:
        if 'mask_ious' in instances:
            instances = captioned(instances, classes)
        return super()._draw_instances(image, instances, classes, palette)


def captioned(instances: InstanceData, classes: Sequence[str] | None) -> InstanceData:
    """The instances as the host's visualizer has to see them, lowest mask score first."""
    ranked = instances[instances.mask_scores.argsort(stable=True)]
    ranked.scores = ranked.mask_scores
    ranked.label_names = [
        f'{classes[label] if classes else f"class {label}"} (IoU {100 * iou:.0f})'
        for label, iou in zip(ranked.labels.tolist(), ranked.mask_ious.tolist())
    ]
    return ranked
