"""The models for OpenMMLab: backbones and heads in its registries, our classifiers in mmpretrain's model zoo."""
try:
    # first, because the heads import frameworks that may need its compat
    from .. import registry  # noqa: F401, I001
    import mmcv.cnn  # noqa: F401
except ImportError as error:
    raise ImportError(
        "mvit3_bench.mmlab needs MMEngine and mmcv: pip install 'mvit3-bench[openmmlab]'; mvit3_bench.models has the same "
        'models and needs torch alone') from error

import sys

from . import heads, initializers, model_zoo  # noqa: F401
from .backbones import MobileViTv1, MobileViTv2, MobileViTv3
from .timm_backbone import TimmBackbone

if sys.modules.get('mmpretrain'):  # by the user or by our heads; otherwise heads.load registers them
    model_zoo.register()

__all__ = ['MobileViTv1', 'MobileViTv2', 'MobileViTv3', 'TimmBackbone']
