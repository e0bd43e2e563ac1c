"""Another backbone in a classifier, SSDLite, DeepLabv3 or PSPNet; the rest of the recipe stays."""
import contextlib
import io
from collections.abc import Callable

import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope
from torch import nn

from ..errors import UsageError, first_line
from ..models.archs import get_arch
from ..models.dilation import dilate
from ..registry import MODELS, scope_of, type_name
from .backbone_names import FLAG, Named, is_ours, resolve

_IMAGENET = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
_MOST_MAPS = 20
_OF_RECIPE = ('out_indices', 'output_stride', 'odd_size', 'norm_cfg', 'in_channels')  # arguments of ours that a config keeps
Maps = list[tuple[int, int]]  # width and stride of each map; the stride of a pooled vector is 0


class _Refused(Exception):
    """What keeps a backbone out of a model."""


def swap_backbone(cfg: Config, name: str, size: tuple[int, int]) -> None:
    """Put another backbone into a config, in place, with the widths of the head and the preprocessing that belong to it.

    Args:
        cfg: A classifier, an SSDLite, a DeepLabv3 or a PSPNet.
        name: See :func:`.backbone_names.resolve`.
        size: Height and width of the images of the recipe, on which the backbone is tried out.

    Raises:
        UsageError: Nothing has this name, or the backbone cannot be put there; the message says why.
    """
    put = _task(cfg)
    if not (cfg.model.get('data_preprocessor') or cfg.get('data_preprocessor')):
        raise UsageError(f'{FLAG} is not possible with {cfg.filename}', FLAG, 'it has no data_preprocessor')
    named = resolve(name, cfg.get('default_scope'))
    try:
        with DefaultScope.overwrite_default_scope(scope_of(cfg)):
            put(cfg, named, size)
    except _Refused as reason:
        raise UsageError(f'{FLAG} {name} cannot be put into {cfg.model.type}: {reason}', FLAG) from reason
    if named.source != 'ours':
        cfg.model.pop('init_cfg', None)  # how the transformers of ours begin
    preprocessor = cfg.model.get('data_preprocessor') or cfg.data_preprocessor  # mmpretrain's stand beside the model
    order = 'to_rgb' if 'to_rgb' in preprocessor else 'bgr_to_rgb'
    preprocessor.update(_preprocessing(named, order, len(preprocessor.get('mean') or _IMAGENET['mean'])))


def _task(cfg: Config) -> Callable[[Config, Named, tuple[int, int]], None]:
    model = cfg.get('model') or {}
    kinds = {part: type_name(model[part]) if isinstance(model.get(part), dict) else ''  # several make a list
             for part in ('neck', 'head', 'decode_head')}
    if type_name(model) == 'ImageClassifier' and 'LinearClsHead' in kinds['head']:
        return _classifier
    if kinds['neck'] == 'SSDLiteNeck':
        return _detector
    if kinds['decode_head'] in ('DeepLabV3Head', 'PSPNetHead') and type_name(model).endswith('EncoderDecoder'):
        return _segmentor
    raise UsageError(f'{FLAG} is not possible with {cfg.filename}', FLAG,
                     'it is for classifiers with a linear head, and for our SSDLite, DeepLabv3 and PSPNet')


def _preprocessing(named: Named, order: str, channels: int) -> dict:
    """Mean, standard deviation and order of the channels that a backbone's weights expect."""
    if named.source == 'ours':
        arch = get_arch(f'v{named.type[-1]}', named.arguments['arch'])
        return {'mean': [0.0] * channels, 'std': [255.0] * channels,
                order: channels == 3 and arch.channel_order == 'rgb'}
    if named.source == 'timm':
        import timm
        found = timm.get_pretrained_cfg(named.arguments['model_name'])
        if found is not None:
            mean, std = ([round(255 * each, 6) for each in values] for values in (found.mean, found.std))
            return {'mean': mean, 'std': std, order: True}
    return {**_IMAGENET, order: True}


# -------------------------------------------------------------------------------------------------- the tasks
def _classifier(cfg: Config, named: Named, size: tuple[int, int]) -> None:
    if named.source == 'ours':
        backbone = _ours(cfg, named, (-1,))
    else:
        backbone = ConfigDict(type=named.type, **named.arguments, **dict(pooled=True) if named.source == 'timm' else {})
    sizes = [size]
    if 'batch_sampler' in (cfg.get('train_dataloader') or {}):  # several sizes
        sizes.append((size[0], size[1] + 32))
    backbone = _sized(backbone, sizes)
    width, stride = _tried(backbone, sizes)[-1]
    if not stride:  # pooled already
        cfg.model.neck = None
    elif not cfg.model.get('neck'):
        cfg.model.neck = dict(type='GlobalAveragePooling')
    cfg.model.backbone, cfg.model.head.in_channels = backbone, width


def _detector(cfg: Config, named: Named, size: tuple[int, int]) -> None:
    backbone, maps = _with_maps(cfg, named, (16, 32), [size])
    cfg.model.backbone, cfg.model.neck.in_channels = backbone, tuple(width for width, _ in maps)


def _segmentor(cfg: Config, named: Named, size: tuple[int, int]) -> None:
    before, model = cfg.model.backbone, cfg.model
    output_stride = model.get('output_stride') or before.get('output_stride', 32)
    sizes = [size, (size[0], size[1] + 16)]  # tests have images of many sizes
    if named.source == 'ours':
        model.pop('output_stride', None)
        backbone = _ours(cfg, named, (1, 2, 3, 4)) | dict(output_stride=output_stride)
        maps = _tried(backbone, sizes)
    else:
        backbone, maps = _with_maps(cfg, named, (16, 32), sizes)
        maps = _tried(backbone, sizes, output_stride)
        if maps[-1][1] != output_stride:
            raise _Refused(f'the head takes a map of stride {output_stride}, and its last one has stride {maps[-1][1]}, '
                           'which dilation does not lower: it subsamples otherwise than by convolutions')
        model.output_stride = output_stride
    for head, place in (('auxiliary_head', -2), ('decode_head', -1)):
        if head in model:
            model[head].update(in_channels=maps[place][0], in_index=len(maps) + place)
    model.backbone = backbone


# -------------------------------------------------------------------------------------------------- the backbone
def _ours(cfg: Config, named: Named, out_indices: tuple[int, ...]) -> ConfigDict:
    """A backbone of ours, with these maps where the config has one of others, whose ``out_indices`` count other maps."""
    before = cfg.model.backbone
    kept = {key: before[key] for key in _OF_RECIPE if key in before}
    if not is_ours(before):
        kept['out_indices'] = out_indices
    return ConfigDict(type=named.type, **kept | named.arguments)


def _with_maps(cfg: Config, named: Named, strides: tuple[int, ...], sizes: list[tuple[int, int]]) -> tuple[ConfigDict, Maps]:
    """A backbone that returns its last map of each of some strides; and these maps."""
    if named.source == 'ours':
        backbone = _ours(cfg, named, (3, 4))
        return backbone, _tried(backbone, sizes)
    backbone = _sized(ConfigDict(type=named.type, **named.arguments), sizes)
    backbone.out_indices = _all_indices(backbone)
    maps = _tried(backbone, sizes)
    last = {stride: place for place, (_, stride) in enumerate(maps)}
    if missing := [stride for stride in strides if stride not in last]:
        found = ', '.join(str(stride) for stride in last) if any(last) else 'none at all'
        raise _Refused(f'it needs maps of strides {" and ".join(map(str, strides))}; of stride '
                       f'{" and ".join(map(str, missing))} there is none (strides of its maps: {found})')
    backbone.out_indices = tuple(backbone.out_indices[last[stride]] for stride in strides)
    return backbone, _tried(backbone, sizes)


def _sized(backbone: ConfigDict, sizes: list[tuple[int, int]]) -> ConfigDict:
    """A backbone of timm for images of the one size that a recipe has, if it takes no others than it was made for."""
    if 'model_name' not in backbone or len(sizes) > 1:
        return backbone
    for each in (backbone, backbone | dict(img_size=sizes[0])):
        with contextlib.suppress(_Refused):
            _tried(each, sizes)
            return each
    return backbone


def _all_indices(backbone: ConfigDict) -> tuple[int, ...]:
    """The ``out_indices`` of all maps that a backbone has."""
    if 'model_name' in backbone:
        return _built(backbone).out_indices
    for number in range(_MOST_MAPS, 0, -1):
        indices = tuple(range(number))
        with contextlib.suppress(_Refused):
            _built(backbone | dict(out_indices=indices))
            return indices
    _built(backbone)  # where it is not for the indices, the reason is said
    raise _Refused('it has no out_indices to choose maps by')


def _built(backbone: ConfigDict) -> nn.Module:
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return MODELS.build(backbone)
    except Exception as error:  # a class refuses its arguments as it likes
        raise _Refused(f'it cannot be built: {type(error).__name__}: {first_line(error)[:200]}') from error


@torch.no_grad()
def _tried(backbone: ConfigDict, sizes: list[tuple[int, int]], output_stride: int | None = None) -> Maps:
    """The maps that a backbone gives of a blank image of the first size; it has to take the other sizes, too."""
    network, channels = _built(backbone), backbone.get('in_channels', 3)
    network.eval()
    for number, size in enumerate(sizes):
        try:
            if output_stride and not number:
                dilate(network, output_stride, channels=channels)
            outputs = network(torch.zeros(1, channels, *size))
        except Exception as error:
            several = ', which the recipe has besides others' if number else ''
            raise _Refused(f'it takes no images of {size[0]}x{size[1]}{several}: {type(error).__name__}: '
                           f'{first_line(error)[:200]}') from error
        if not number:
            maps = [_described(each, size) for each in (outputs if isinstance(outputs, (tuple, list)) else [outputs])]
    return maps


def _described(output: torch.Tensor, size: tuple[int, int]) -> tuple[int, int]:
    if not isinstance(output, torch.Tensor) or output.ndim not in (2, 4):
        shape = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
        raise _Refused(f'it returns {shape}, which is neither a map (B, C, H, W) nor a vector (B, C)')
    return output.shape[1], round(size[0] / output.shape[2]) if output.ndim == 4 else 0
