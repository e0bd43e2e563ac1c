"""Checkpoints under other names, published ones and timm's, and what a state dict is. Needs torch alone."""
from .published import from_published, to_published
from .timm import from_timm

__all__ = ['from_published', 'from_timm', 'to_published']
