"""Detectron's anchors, with which the authors' weights were trained."""

from __future__ import annotations

import torch
from mmdet.models.task_modules.prior_generators import AnchorGenerator
from mmdet.registry import TASK_UTILS
from torch import Tensor


@TASK_UTILS.register_module()
class DetectronAnchorGenerator(AnchorGenerator):
    """mmdet's ``AnchorGenerator`` with sides rounded at the scale of the stride.

    An anchor of stride 4, scale 8 and ratio 1/2 is 8 * (6, 3) pixels, not 8 * (5.66, 2.83). Give
    ``center_offset=0.5`` for Detectron's centres as well. Detectron's boxes include their last
    pixel: its [-14, -14, 17, 17] is [-14, -14, 18, 18] here.
    """

    def gen_single_level_base_anchors(
        self,
        base_size: float,
        scales: Tensor,
        ratios: Tensor,
        center: tuple[float, float] | None = None,
    ) -> Tensor:
        """Computes anchors (ratios * scales, 4) around ``center``: x1, y1, x2, y2 in pixels."""
        if center is None:
            center = (self.center_offset * base_size, self.center_offset * base_size)
        widths = (base_size / ratios.sqrt()).round()
        sides = torch.stack([widths, (widths * ratios).round()], -1)
        halves = (sides[:, None] * scales[:, None] / 2).reshape(-1, 2)
        middle = halves.new_tensor(center)
        return torch.cat([middle - halves, middle + halves], -1)
