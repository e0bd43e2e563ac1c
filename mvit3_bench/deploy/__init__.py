"""Getting a trained model ready for inference."""
from .fuse import fuse

__all__ = ['fuse']
