"""Getting a trained model ready for inference."""
from .export import export
from .fuse import fuse
from .suppress import suppress  # with this, torch.export.load reads a detector

__all__ = ['export', 'fuse', 'suppress']
