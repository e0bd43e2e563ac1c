"""What the recipes need of data and the frameworks lack; `mini` draws miniature data sets."""
from importlib.util import find_spec

if find_spec('mmcv'):  # `mini` works without
    from .loading import Load  # noqa: F401
