"""Checkpoints: published names <-> ours."""
from .published import from_published, to_published

__all__ = ['from_published', 'to_published']
