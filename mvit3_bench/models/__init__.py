"""The models, which need torch alone.

Read ``archs.py`` for the variants, ``blocks.py`` for the idea, ``backbone.py`` and ``classifier.py`` for the networks.

``norm_layer`` and ``act_layer`` are callables, as in torchvision and timm. The classes of the same names that OpenMMLab's
configs build are in :mod:`mvit3_bench.mmlab`.
"""
from .archs import ARCHS
from .backbone import MobileViTv1, MobileViTv2, MobileViTv3
from .classifier import Classifier

__all__ = ['ARCHS', 'Classifier', 'MobileViTv1', 'MobileViTv2', 'MobileViTv3']
