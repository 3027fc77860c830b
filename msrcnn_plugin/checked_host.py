"""Raises a clear ImportError where mmdet cannot run; else lets torch read mmengine's checkpoints.

Whatever needs the host imports this module before it.
"""

from . import compat

compat.require_host()
compat.allow_own_checkpoints()
