"""Mask Scoring R-CNN as a plugin of mmdet 3.x.

A detector ranks its masks by the class score, which knows nothing of the mask. Mask Scoring R-CNN
(arXiv 1903.00241) adds a small head that looks at the RoI feature and the predicted mask and
regresses the mask's IoU with the ground truth. The product s_cls · s_iou then ranks masks by how
good they are. Here the two stay apart: `scores` is what the host made, and `mask_ious` and
`mask_scores` stand beside it.

Importing this package registers everything with mmdet, so a config needs no more than
`custom_imports = dict(imports=['msrcnn_plugin'], allow_failed_imports=False)`. It imports mmdet
only for a config: `msrcnn_plugin.evaluation` needs neither mmdet nor torch.
"""

from .registration import register

register()
