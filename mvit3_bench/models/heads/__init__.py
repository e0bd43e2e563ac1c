"""Heads of the paper, where the frameworks' own differ. Each needs its framework and is imported if that is there."""
from importlib.util import find_spec

if find_spec('mmseg'):
    from . import seg  # noqa: F401
if find_spec('mmpretrain'):
    from . import cls  # noqa: F401
if find_spec('mmdet'):
    from . import ssdlite  # noqa: F401
