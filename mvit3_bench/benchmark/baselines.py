"""The baselines, with our weights: timm's MobileViT v1 and v2, v3 as we register it with timm, and mmpretrain's v1."""
from collections.abc import Callable
from importlib.util import find_spec

from mmengine.config import ConfigDict
from mmengine.registry import MODELS
from torch import nn

from ..converters.published import StateDict, convert, within
from ..converters.timm import from_timm, units
from ..registry import type_name

_INSTALL = dict(timm='timm', mmpretrain='mmpretrain==1.2.0')

# written from the names of mmpretrain's modules, tested against its forward pass; the first that matches counts
_MMPRETRAIN_BLOCK = units([
    ('conv.0', 'expand'),
    ('conv.1', 'depthwise'),
    ('conv.2', 'project'),
    ('local_rep.0', 'local_conv'),
    ('conv_proj', 'proj'),
    ('conv_fusion', 'fusion'),
]) + [('local_rep.1.conv.', 'local_proj.')] + within(('global_rep.#.', 'transformer.#.'), [
    ('ln1.', 'attn_norm.'),
    ('attn.', 'attn.'),
    ('ln2.', 'ffn_norm.'),
    ('ffn.layers.0.0.', 'fc1.'),
    ('ffn.layers.1.', 'fc2.'),
    ('', ''),  # the final norm is the last entry of the same list on both sides
])


def from_mmpretrain(state_dict: StateDict) -> StateDict:
    """Rename a state dict of mmpretrain's classifier with a ``MobileViT``, for ours with a ``MobileViTv1``.

    Raises:
        ValueError: A tensor has no place in such a model.
    """
    backbone = units([('stem', 'stem'), ('conv_1x1_exp', 'expansion.0')])
    for stage in range(5):
        backbone += within((f'layers.{stage}.#.', f'layer{stage + 1}.#.'), _MMPRETRAIN_BLOCK)
    rules = within(('backbone.', 'backbone.'), backbone) + [('head.fc.', 'head.fc.')]
    return convert(state_dict, rules, 'classification', lambda key: False)


def require(baseline: str) -> None:
    """Check that the package of a baseline is installed.

    Raises:
        ImportError: It is not; the message has the line that installs it.
    """
    if not find_spec(baseline):
        raise ImportError(f'the baseline {baseline} needs {baseline}: pip install {_INSTALL[baseline]}')


def build_baseline(baseline: str, cfg: ConfigDict, model: nn.Module) -> nn.Module | None:
    """The network of another package that computes what ours does, in evaluation mode.

    Args:
        baseline: ``'timm'`` or ``'mmpretrain'``.
        cfg: Config of our model.
        model: Our model, whose weights the baseline gets.

    Returns:
        The network; None where the package has no such model.

    Raises:
        ImportError: The package is not installed.
    """
    require(baseline)
    family = type_name(cfg.backbone)
    if type_name(cfg) != 'ImageClassifier' or family not in ('MobileViTv1', 'MobileViTv2', 'MobileViTv3'):
        return None
    arch = cfg.backbone.arch if isinstance(cfg.backbone.arch, dict) else dict(name=cfg.backbone.arch)
    if arch.keys() > {'name'}:  # with changed fields, which no package has
        return None
    build, rename = _BASELINES[baseline]
    network = build(family, str(arch['name']), cfg.head)
    if network is not None:
        names = rename({key: key for key in network.state_dict()})  # ours -> theirs
        weights = model.state_dict()
        network.load_state_dict({theirs: weights[ours] for ours, theirs in names.items()}, strict=True)
        network.eval()
    return network


def _build_timm(family: str, arch: str, head: ConfigDict) -> nn.Module | None:
    import timm
    if family == 'MobileViTv3':
        from ..integrations.timm import NAMES
        name = next((name for name, known in NAMES.items() if known == arch), '')
    else:
        name = f'mobilevit_{arch}' if family == 'MobileViTv1' else f'mobilevitv2_{round(float(arch) * 100):03}'
    return timm.create_model(name, num_classes=head.num_classes) if timm.is_model(name) else None


def _rename_timm(names: StateDict) -> StateDict:
    if any(key.startswith('stages.') for key in names):
        return from_timm(names, 'classification')
    return {key if key.startswith('head.') else f'backbone.{key}': value for key, value in names.items()}


def _build_mmpretrain(family: str, arch: str, head: ConfigDict) -> nn.Module | None:
    name = dict(xxs='xx_small', xs='x_small', s='small').get(arch)
    if family != 'MobileViTv1' or name is None:
        return None
    return MODELS.build(dict(
        type='ImageClassifier',
        backbone=dict(type='MobileViT', arch=name),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', num_classes=head.num_classes, in_channels=head.in_channels),
        _scope_='mmpretrain'))


Builder = Callable[[str, str, ConfigDict], nn.Module | None]
_BASELINES: dict[str, tuple[Builder, Callable[[StateDict], StateDict]]] = dict(
    timm=(_build_timm, _rename_timm),
    mmpretrain=(_build_mmpretrain, from_mmpretrain))
BASELINES = tuple(_BASELINES)
