"""The losing variants of the MaskIoU head and its recipe, registered when this is imported.

A config names ``custom_imports=dict(imports=['msrcnn_plugin', 'projects.ablations.components'])``
and is run from the root of the checkout.
"""

from . import heads, losses, roi_heads, samplers

__all__ = ['heads', 'losses', 'roi_heads', 'samplers']
