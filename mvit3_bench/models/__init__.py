"""Backbones and heads. Read ``archs.py`` for the models, ``blocks.py`` for the idea, ``backbone.py`` for the whole."""
try:
    # first, because the heads import frameworks that may need its compat
    from .. import registry  # noqa: F401, I001
    import mmcv.cnn  # noqa: F401
except ImportError as error:
    raise ImportError(
        "mvit3_bench.models needs MMEngine and mmcv: pip install 'mvit3-bench[openmmlab]'") from error

import sys

from .. import hub
from . import heads  # noqa: F401
from .archs import ARCHS
from .backbone import MobileViTv1, MobileViTv2, MobileViTv3

if 'mmpretrain' in sys.modules:  # installed and whole: our heads have imported it
    hub.register()

__all__ = ['ARCHS', 'MobileViTv1', 'MobileViTv2', 'MobileViTv3']
