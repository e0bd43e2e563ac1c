"""timm: ``timm.create_model('mobilevitv3_s', features_only=True)``."""
import contextlib
import json
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

try:
    import timm
    from timm.layers import ClassifierHead
    from timm.models import build_model_with_cfg, generate_default_cfgs, is_model, model_entrypoint, register_model
    from timm.models._features import feature_take_indices
except ImportError as error:
    raise ImportError(f"mvit3_bench.integrations.timm needs timm 1.0 or newer: pip install 'timm>=1.0' ({error})") from error

from ..models import ARCHS
from ..models.classifier import init_linear
from .network import NAMES, Network, strip_backbone

STAGES = 5  # layer1 .. layer5, whose maps are timm's features


class TimmMobileViTv3(Network):
    """The classifier in timm's form, (B, in_chans, H, W) RGB / 255 -> logits (B, num_classes).

    Args:
        arch: As in :class:`mvit3_bench.models.backbone.MobileViTv3`.
        num_classes: Number of classes; 0 for no linear layer.
        in_chans: Channels of the image.
        drop_rate: Dropout before the linear layer; None: as published (v1 type 0.1, v2 type 0).
        global_pool: timm's name of a pooling, ``''`` for none.
        options: More arguments of the backbone, such as ``output_stride`` or ``attn_drop_rate``.
    """

    def __init__(self, arch, num_classes: int = 1000, in_chans: int = 3, drop_rate: float | None = None,
                 global_pool: str = 'avg', device=None, dtype=None, **options):
        with torch.device(device) if device is not None else contextlib.nullcontext():
            super().__init__(arch, in_channels=in_chans, **options)
            self.drop_rate = self.arch.head_drop_rate if drop_rate is None else drop_rate
            self.head = ClassifierHead(self.num_features, num_classes, pool_type=global_pool, drop_rate=self.drop_rate)
            if num_classes:
                init_linear(self.head.fc, self.arch)
        self.num_classes, self.in_chans = num_classes, in_chans
        strides = self.strides_of(range(STAGES))
        self.feature_info = [dict(num_chs=width, reduction=stride, module=f'layer{index}')
                             for index, (width, stride) in enumerate(zip(self.arch.widths, strides, strict=True), 1)]
        self.to(dtype=dtype)

    def group_matcher(self, coarse: bool = False) -> dict:
        """Patterns of the groups of layers."""
        return dict(stem=r'^stem', blocks=r'^layer(\d+)' if coarse else [(r'^layer(\d+)\.(\d+)', None),
                                                                          (r'^expansion', (99999,))])

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute the layers' activations in the backward pass, or not."""
        self.with_cp = enable

    def get_classifier(self) -> nn.Module:
        """The linear layer."""
        return self.head.fc

    @property
    def head_hidden_size(self) -> int:
        """Width of what the linear layer is given."""
        return self.num_features * self.head.global_pool.feat_mult()

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replace the linear layer, and the pooling if one is named."""
        self.num_classes = num_classes
        self.head.reset(num_classes, global_pool)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """(B, C, H, W) -> logits (B, num_classes), or what the linear layer is given."""
        return self.head(x, pre_logits=pre_logits)

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))

    def forward_intermediates(self, x: Tensor, indices: int | list[int] | None = None, norm: bool = False,
                              stop_early: bool = False, output_fmt: str = 'NCHW', intermediates_only: bool = False):
        """The maps of layer1 .. layer5 that ``indices`` names, and the last one unless ``intermediates_only``."""
        if output_fmt != 'NCHW':
            raise ValueError(f"output_fmt={output_fmt!r} is not possible; allowed: 'NCHW'")
        wanted, _ = feature_take_indices(STAGES, indices)
        last = [] if intermediates_only else [len(self.layer_names) - 1]
        order = sorted({*wanted, *last})
        maps = dict(zip(order, self.forward_maps(x, order), strict=True))
        intermediates = [maps[index] for index in wanted]
        return intermediates if intermediates_only else (maps[last[0]], intermediates)

    def prune_intermediate_layers(self, indices: int | list[int] = 1, prune_norm: bool = False,
                                  prune_head: bool = True) -> list[int]:
        """Remove the layers behind those that ``indices`` names."""
        wanted, last = feature_take_indices(STAGES, indices)
        if last == STAGES - 1 and not prune_head:  # which takes what the expansion gives
            return wanted
        for name in self.layer_names[last + 1:]:
            delattr(self, name)
        del self.layer_names[last + 1:]
        self.out_indices, self.strides = (last,), self.strides_of((last,))
        self.out_channels = (self.arch.widths[last],)
        if prune_head:
            self.reset_classifier(0, '')
        return wanted


def _default_cfg(arch: str) -> dict:
    """Preprocessing of the published evaluation: short side 288, crop 256, pixels / 255."""
    separable = ARCHS['v3'][arch].separable
    return dict(num_classes=1000, input_size=(3, 256, 256), pool_size=(8, 8), crop_pct=256 / 288,
                interpolation='bicubic' if separable else 'bilinear', mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0),
                first_conv='stem.conv', classifier='head.fc', paper_ids='arXiv:2209.15159', paper_name='MobileViTv3')


default_cfgs = generate_default_cfgs({name: _default_cfg(arch) for name, arch in NAMES.items()})


def _entrypoint(name: str):
    def build(pretrained: bool = False, **kwargs) -> nn.Module:
        if kwargs.get('features_only'):
            kwargs.setdefault('odd_size', 'keep')  # maps of ceil(H / stride), as heads expect them
        return build_model_with_cfg(
            TimmMobileViTv3, name, pretrained, arch=NAMES[name], pretrained_filter_fn=strip_backbone,
            feature_cfg=dict(out_indices=tuple(range(STAGES)), feature_cls='getter'), **kwargs)
    build.__name__ = build.__qualname__ = name
    build.__doc__ = f'MobileViTv3-{NAMES[name].upper()}.'
    return build


for _name in NAMES:
    if not is_model(_name):
        register_model(_entrypoint(_name))
    elif model_entrypoint(_name).__module__ != __name__:
        warnings.warn(f'timm {timm.__version__} has a {_name} of its own, which stays: ours is not registered',
                      stacklevel=2)


def save_for_hub(folder: str | Path, name: str, state_dict: dict[str, Tensor], classes: Sequence[str] = ()) -> None:
    """Write a classifier as on the Hugging Face hub, ``config.json`` and ``model.safetensors``.

    Args:
        folder: Folder to write.
        name: One of ``NAMES``.
        state_dict: Its weights, for RGB, under our names.
        classes: Their names, which transformers shows; none if they are not known.
    """
    model = timm.create_model(name, num_classes=len(state_dict['head.fc.bias']))
    model.load_state_dict(state_dict)
    labels = dict(label_names=list(classes)) if classes else {}
    timm.models.save_for_hf(model, str(folder), model_config=labels, safe_serialization=True)
    config = Path(folder) / 'config.json'
    content = json.loads(config.read_text())
    content.pop('model_args', None)  # says twice what stands beside it, which transformers takes for a contradiction
    config.write_text(json.dumps(content, indent=2))
