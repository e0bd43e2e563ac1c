"""Backbones and heads. Read ``archs.py`` for the models, ``blocks.py`` for the idea, ``backbone.py`` for the whole."""
try:
    import mmcv  # noqa: F401
    import mmengine  # noqa: F401
except ImportError as error:
    raise ImportError(
        "mvit3_bench.models needs MMEngine and mmcv: pip install 'mvit3-bench[openmmlab]'") from error

from .archs import ARCHS
from .backbone import MobileViTv1, MobileViTv2, MobileViTv3

__all__ = ['ARCHS', 'MobileViTv1', 'MobileViTv2', 'MobileViTv3']
