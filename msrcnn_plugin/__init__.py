"""Mask Scoring R-CNN as a plugin of mmdet 3.x.

A detector ranks its masks by the class score, which knows nothing of the mask. Mask Scoring R-CNN
(arXiv 1903.00241) adds a small head that looks at the RoI feature and the predicted mask and
regresses the mask's IoU with the ground truth. The product s_cls · s_iou then ranks masks by how
good they are. Here the two stay apart: `scores` is what the host made, and `mask_ious` and
`mask_scores` stand beside it.

Importing this package registers everything with mmdet, so a config needs no more than
`custom_imports = dict(imports=['msrcnn_plugin'], allow_failed_imports=False)`.
"""

import sys

from .compat import allow_own_checkpoints, allow_processes_without_gpu, require_host


def _started_for_doctor() -> bool:
    """Whether this is `python -m msrcnn_plugin.doctor`, which has to start without the host."""
    # runpy imports this package, as the parent of the module it will run, with '-m' in argv[0].
    # Which module that is, Python tells from 3.10 on.
    command = getattr(sys, 'orig_argv', None)
    return sys.argv[:1] == ['-m'] and (command is None or f'{__name__}.doctor' in command)


if not _started_for_doctor():
    require_host()
    allow_own_checkpoints()
    allow_processes_without_gpu()
    # Each registers its own.
    from . import checkpoints, evaluation, hooks, models, visualization  # noqa: F401
