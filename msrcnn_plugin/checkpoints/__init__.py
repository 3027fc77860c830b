"""Converts trained weights from elsewhere: reads, recognises, renames, checks, writes them."""

from .conversion import FORMATS, Conversion, Entry, convert
from .detectron_anchors import DetectronAnchorGenerator
from .files import CheckpointError, read_checkpoint, read_content, write_checkpoint
from .targets import Target, file_target, head_target, model_target

__all__ = [
    'FORMATS',
    'CheckpointError',
    'Conversion',
    'DetectronAnchorGenerator',
    'Entry',
    'Target',
    'convert',
    'file_target',
    'head_target',
    'model_target',
    'read_checkpoint',
    'read_content',
    'write_checkpoint',
]
