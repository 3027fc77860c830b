"""The losing variants of both mask heads and their recipe, registered when this is imported.

A config names ``custom_imports=dict(imports=['msrcnn_plugin', 'projects.ablations.components'])``
and is run from the root of the checkout.
"""

from . import heads, hooks, losses, mask_heads, roi_heads, samplers

__all__ = ['heads', 'hooks', 'losses', 'mask_heads', 'roi_heads', 'samplers']
