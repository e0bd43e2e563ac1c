"""Conversion of published state dicts and timm's, and identification of a state dict. Needs torch alone."""
from .published import from_published, to_published, to_rgb
from .timm import from_timm

__all__ = ['from_published', 'from_timm', 'to_published', 'to_rgb']
