"""Getting a trained model ready for inference."""
from .export import export
from .fuse import fuse
from .nms import nms  # with this, torch.export.load reads a detector

__all__ = ['export', 'fuse', 'nms']
