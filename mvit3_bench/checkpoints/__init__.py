"""Checkpoints: safe reading, atomic writing. The names of other sources are converted in :mod:`mvit3_bench.converters`."""
from ..converters import from_published, from_timm, to_published

__all__ = ['from_published', 'from_timm', 'to_published']
