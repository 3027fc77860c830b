"""Trained weights from elsewhere as this plugin's: read, recognised, renamed, checked, written."""

from .conversion import FORMATS, Conversion, Entry, convert
from .files import CheckpointError, read_checkpoint, read_content, write_checkpoint
from .targets import Target, file_target, head_target, model_target

__all__ = [
    'FORMATS',
    'CheckpointError',
    'Conversion',
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
