"""Checkpoints: published names and timm's <-> ours."""
from .published import from_published, to_published
from .timm import from_timm

__all__ = ['from_published', 'from_timm', 'to_published']
