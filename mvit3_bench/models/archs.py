"""The architectures of the MobileViT papers, v1, v2 and v3, as data.

Sources: v1 arXiv 2110.02178 (Table 5), v2 arXiv 2206.02680 (Section 3.3), v3 arXiv 2209.15159 (Table 1).
"""
import dataclasses
from dataclasses import dataclass

NUM_HEADS = 4  # heads of the attention, in every model of the v1 type


@dataclass(frozen=True)
class Arch:
    """The configuration of a MobileViT.

    Args:
        separable: False for the v1 type (multi-head attention over tokens), True for the v2 type (separable
            self-attention over maps).
        stem: Width of the 3x3 stem.
        widths: Output widths of layer1 .. layer5.
        dims: Attention widths ``d`` of layer3, layer4, layer5.
        ffn_dims: Hidden widths of the feed-forward networks of layer3, layer4, layer5.
        depths: Transformer layers in layer3, layer4, layer5.
        expand_ratio: Expansion of the inverted residuals.
        layer2_blocks: Inverted residuals in layer2.
        expansion: Width of the 1x1 expansion after layer5; None for no expansion.
        drop_rate: Published dropout after attention and after the feed-forward network.
        pointwise_fusion: The fusing convolution is 1x1 instead of 3x3. Change 1 of v3; always on in the v2 type.
        fuse_local: The local features, not the block's input, are fused with the global ones. Change 2.
        input_residual: The block's input is added to its output. Change 3.
        depthwise_local: The local 3x3 is depthwise. Change 4; always on in the v2 type.
        channel_order: Order of the colour channels on which the published weights were trained, ``'bgr'`` or ``'rgb'``.

    Raises:
        ValueError: A field has an impossible value; the message names it and the allowed values.
    """
    separable: bool
    stem: int
    widths: tuple[int, int, int, int, int]
    dims: tuple[int, int, int]
    ffn_dims: tuple[int, int, int]
    depths: tuple[int, int, int]
    expand_ratio: int
    layer2_blocks: int
    expansion: int | None
    drop_rate: float
    pointwise_fusion: bool
    fuse_local: bool
    input_residual: bool
    depthwise_local: bool
    channel_order: str

    @property
    def head_drop_rate(self) -> float:
        """Published dropout before the classifier's linear layer."""
        return 0.0 if self.separable else 0.1

    def __post_init__(self):
        for name, length in (('widths', 5), ('dims', 3), ('ffn_dims', 3), ('depths', 3)):
            value = getattr(self, name)
            if len(value) != length or min(value) < 1:
                raise ValueError(f'arch: {name}={value!r} is not possible; allowed: {length} positive numbers')
        if self.separable:
            for name in ('pointwise_fusion', 'depthwise_local'):
                if not getattr(self, name):
                    raise ValueError(f'arch: {name}=False is not possible in the v2 type; allowed: True')
        elif any(dim % NUM_HEADS for dim in self.dims):
            raise ValueError(f'arch: dims={self.dims!r} is not possible; allowed: multiples of the {NUM_HEADS} heads')


def make_divisible(value: float, divisor: int) -> int:
    """Round to the nearest multiple of ``divisor``, never more than 10 % down (the rule of MobileNet)."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def _v1_type(widths, dims, expand_ratio, drop_rate, *, layer4_depth=4, v3=False) -> Arch:
    return Arch(
        separable=False, stem=16, widths=widths, dims=dims, ffn_dims=tuple(2 * d for d in dims),
        depths=(2, layer4_depth, 3), expand_ratio=expand_ratio, layer2_blocks=3,
        expansion=min(4 * widths[-1], 960), drop_rate=drop_rate, pointwise_fusion=v3, fuse_local=v3,
        input_residual=v3, depthwise_local=v3, channel_order='bgr')


def _v2_type(width: float, *, v3=False) -> Arch:
    dims = tuple(make_divisible(d * width, 8) for d in (128, 192, 256))
    return Arch(
        separable=True, stem=make_divisible(min(max(32 * width, 16), 64), 8),
        widths=(make_divisible(64 * width, 16), *(make_divisible(c * width, 8) for c in (128, 256, 384, 512))),
        dims=dims, ffn_dims=tuple(2 * d for d in dims), depths=(2, 4, 3), expand_ratio=2, layer2_blocks=2,
        expansion=None, drop_rate=0.0, pointwise_fusion=True, fuse_local=v3, input_residual=v3,
        depthwise_local=True, channel_order='rgb')


_V2_WIDTHS = ('0.5', '0.75', '1.0', '1.25', '1.5', '1.75', '2.0')
_V3_WIDTHS = dict(
    xxs=((16, 24, 64, 80, 128), (64, 80, 96), 2, 0.05),
    xs=((32, 48, 96, 160, 160), (96, 120, 144), 4, 0.1),
    s=((32, 64, 128, 256, 320), (144, 192, 240), 4, 0.1))

# family -> name -> Arch
ARCHS = dict(
    v1=dict(
        xxs=_v1_type((16, 24, 48, 64, 80), (64, 80, 96), 2, 0.05),
        xs=_v1_type((32, 48, 64, 80, 96), (96, 120, 144), 4, 0.1),
        s=_v1_type((32, 64, 96, 128, 160), (144, 192, 240), 4, 0.1)),
    v2={width: _v2_type(float(width)) for width in _V2_WIDTHS},
    v3={
        **{name: _v1_type(*cfg, v3=True) for name, cfg in _V3_WIDTHS.items()},
        **{f'{name}_l2': _v1_type(*cfg, layer4_depth=2, v3=True) for name, cfg in _V3_WIDTHS.items()},
        **{width: _v2_type(float(width), v3=True) for width in _V2_WIDTHS},
    })


def get_arch(family: str, arch: str | float | dict | Arch) -> Arch:
    """Look up an architecture.

    Args:
        family: ``'v1'``, ``'v2'`` or ``'v3'``.
        arch: A name of ``ARCHS[family]``; any width up to 2.0 (v2 type); a dict of ``name`` and the fields of
            :class:`Arch` to replace, as the ablation does; or an :class:`Arch` as it is.

    Raises:
        ValueError: The name is not known (the message lists the known ones) or a field does not exist.
    """
    if isinstance(arch, Arch):
        return arch
    if isinstance(arch, dict):
        changes = dict(arch)
        base = get_arch(family, changes.pop('name', None))
        fields = [field.name for field in dataclasses.fields(Arch)]
        if unknown := sorted(set(changes) - set(fields)):
            raise ValueError(f'arch has no field {", ".join(unknown)}; the fields are {", ".join(fields)}')
        return dataclasses.replace(base, **changes)
    known = ARCHS[family]
    if str(arch) in known:
        return known[str(arch)]
    if family != 'v1' and not isinstance(arch, bool):
        try:
            width = float(arch)
        except (TypeError, ValueError):
            width = 0.0
        if 0 < width <= 2:
            return _v2_type(width, v3=family == 'v3')
    widths = '' if family == 'v1' else ', and other widths up to 2.0'
    raise ValueError(f'unknown arch {arch!r} of MobileViT{family}; known: {", ".join(known)}{widths}')
