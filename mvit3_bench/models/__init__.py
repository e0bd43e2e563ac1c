"""Backbones and heads. Read ``archs.py`` for the models, ``blocks.py`` for the idea, ``backbone.py`` for the whole."""
try:
    from .. import registry  # noqa: F401  first, because the heads import frameworks that may need its compat
except ImportError as error:
    raise ImportError(
        "mvit3_bench.models needs MMEngine and mmcv: pip install 'mvit3-bench[openmmlab]'") from error

from . import heads  # noqa: F401
from .archs import ARCHS
from .backbone import MobileViTv1, MobileViTv2, MobileViTv3

__all__ = ['ARCHS', 'MobileViTv1', 'MobileViTv2', 'MobileViTv3']
