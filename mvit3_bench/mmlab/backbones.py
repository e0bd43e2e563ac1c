"""The backbones of :mod:`mvit3_bench.models` in OpenMMLab's registry, with its configs as arguments."""
import copy
from collections.abc import Callable

from mmcv.cnn import build_activation_layer, build_norm_layer
from mmengine.model import BaseModule
from torch import nn

from .. import models
from ..checkpoints.io import filling
from ..models.archs import Arch
from ..models.backbone import MobileViT, check
from ..registry import MODELS


def _build(argument: str, builder: Callable[..., nn.Module], cfg: dict, channels: int | None = None) -> nn.Module:
    """A layer from a config of the user's; what mmcv and torch say of an impossible one does not name the argument."""
    try:
        return builder(cfg) if channels is None else builder(cfg, channels)[1]
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        layer = '' if channels is None else f' for a layer of {channels} channels'
        raise ValueError(f'{argument}={cfg!r} is not possible{layer}: {error}; allowed: what mmcv.cnn.{builder.__name__} '
                         'can build') from error


class _OpenMMLabBackbone(MobileViT, BaseModule):
    """Common part of the three families: configs in place of callables, and initialisation by ``init_cfg``."""

    def __init__(self,
                 arch: str | float | dict | Arch,
                 in_channels: int = 3,
                 out_indices: tuple[int, ...] = (1, 2, 3, 4),
                 output_stride: int = 32,
                 frozen_stages: int = -1,
                 norm_cfg: dict = dict(type='BN'),
                 act_cfg: dict = dict(type='SiLU'),
                 drop_rate: float | None = None,
                 attn_drop_rate: float = 0.0,
                 norm_eval: bool = False,
                 with_cp: bool = False,
                 odd_size: str = 'keep',
                 init_cfg: dict | list | None = None):
        check('act_cfg', act_cfg, act_cfg is not None, "an activation, for instance dict(type='ReLU')")
        check('init_cfg', init_cfg, isinstance(init_cfg, (dict, list, type(None))), 'a dict, a list of dicts, None')
        super().__init__(
            arch, in_channels, out_indices, output_stride, frozen_stages,
            norm_layer=lambda channels: _build('norm_cfg', build_norm_layer, norm_cfg, channels),
            act_layer=lambda: _build('act_cfg', build_activation_layer, act_cfg),
            drop_rate=drop_rate, attn_drop_rate=attn_drop_rate, norm_eval=norm_eval, with_cp=with_cp, odd_size=odd_size)
        self.init_cfg = copy.deepcopy(init_cfg)

    def init_weights(self) -> None:
        """Initialise as ``init_cfg`` says, and log how many tensors a pretrained checkpoint filled, and which not."""
        with filling(self):
            super().init_weights()


@MODELS.register_module()
class MobileViTv1(_OpenMMLabBackbone, models.MobileViTv1):
    """MobileViT (arXiv 2110.02178): ``xxs xs s``. Arguments as in :class:`MobileViTv3`."""


@MODELS.register_module()
class MobileViTv2(_OpenMMLabBackbone, models.MobileViTv2):
    """MobileViTv2 (arXiv 2206.02680): ``0.5 0.75 1.0 1.25 1.5 1.75 2.0``. Arguments as in :class:`MobileViTv3`."""


@MODELS.register_module()
class MobileViTv3(_OpenMMLabBackbone, models.MobileViTv3):
    """MobileViTv3 (arXiv 2209.15159, Table 1), see :class:`mvit3_bench.models.backbone.MobileViTv3`.

    Args:
        arch, in_channels, out_indices, output_stride, frozen_stages: As in :class:`mvit3_bench.models.backbone.MobileViTv3`.
        drop_rate, attn_drop_rate, norm_eval, with_cp, odd_size: As in :class:`mvit3_bench.models.backbone.MobileViTv3`.
        norm_cfg: Normalisation of all convolutions; the transformers keep the norms of the paper.
        act_cfg: Activation everywhere.
        init_cfg: Initialisation of MMEngine in place of the published one, for instance
            ``dict(type='Pretrained', checkpoint=..., prefix='backbone.')``.

    Raises:
        ValueError: An argument has an impossible value; the message names it and the allowed ones.

    Example:
        >>> from mvit3_bench.registry import MODELS
        >>> backbone = MODELS.build(dict(type='mvit3_bench.MobileViTv3', arch='s', norm_cfg=dict(type='SyncBN')))
    """
