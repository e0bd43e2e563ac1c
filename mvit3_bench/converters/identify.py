"""Identify a state dict from its keys and shapes: whose names it has, its task, and its model."""
import functools
from dataclasses import dataclass

import torch

from ..models.archs import ARCHS, get_arch
from ..models.classifier import FAMILIES
from ..utils.text import grouped, shown
from .compare import differences, report
from .published import StateDict, from_published, to_published
from .timm import from_timm

TASKS = ('backbone', 'classification', 'detection', 'segmentation')
MODELS = tuple(f'mvit{family[1]}_{arch}' for family, archs in ARCHS.items() for arch in archs)

# how keys begin: whose names they are (the first that matches counts), which task they serve
_NAMES = dict(published=('conv_1.', 'encoder.conv_1.'), timm=('stages.',), ours=('stem.', 'backbone.stem.'))
_HEADS = dict(
    classification=('classifier.', 'head.'),
    detection=('ssd_heads.', 'bbox_head.'),
    segmentation=('seg_head.', 'decode_head.'))
# the last bias of a classifier or segmentor, under each of the names
_CLASSIFIERS = ('classifier.fc.bias', 'classifier.1.bias', 'head.fc.bias', 'seg_head.classifier.block.conv.bias',
                'seg_head.classifier.classifier.block.conv.bias', 'decode_head.conv_seg.bias')


@dataclass(frozen=True)
class Identified:
    """The result of :func:`identify`.

    Args:
        names: Whose names the keys are: ``'published'``, ``'timm'``, ``'ours'``, or ``'integrations'``, of what was trained
            as timm's or torchvision's model of our names: ours without ``backbone.``, and RGB.
        task: One of ``TASKS``; ``'backbone'`` if there is no head, or if only the backbone was asked for.
        model: Family and arch, as in the names of configs: ``'mvit3_s'``.
        head: As in the names of configs: ``'ssdlite'``, ``'deeplabv3'``, ``'pspnet'``; empty for classifiers and backbones.
        num_classes: Without background; None for a backbone, and if the last layer is missing.
        left_out: Keys outside the backbone, if only the backbone was asked for.
    """
    names: str
    task: str
    model: str
    head: str = ''
    num_classes: int | None = None
    left_out: tuple[str, ...] = ()

    @property
    def family(self) -> str:
        """As in ``mvit3_bench.models.ARCHS``: ``'v3'``."""
        return f'v{self.model[4]}'

    @property
    def arch(self) -> str:
        """As in ``mvit3_bench.models.ARCHS``: ``'s'``."""
        return self.model.partition('_')[2]


def identify(state_dict: StateDict, task: str = 'auto', arch: str = 'auto') -> Identified:
    """Identify a state dict. The backbone is compared tensor by tensor, the head is identified by its keys.

    Args:
        state_dict: Tensors of one model and nothing else.
        task: One of ``TASKS``; ``'backbone'`` ignores any head. ``'auto'``: from the keys.
        arch: Family and arch, as in ``'mvit3_s'``. ``'auto'``: from the shapes, one of the papers' models.

    Raises:
        ValueError: It is none of these models, its backbone has missing or unexpected tensors, or it is of another task or
            arch than given.
    """
    state_dict = {key: value.detach() for key, value in state_dict.items()}  # each one's own, if two keys share a tensor
    names = next((name for name, starts in _NAMES.items() if any(key.startswith(starts) for key in state_dict)), None)
    if names == 'ours' and 'stem.conv.weight' in state_dict and 'head.fc.weight' in state_dict:
        names = 'integrations'
    if names is None:
        raise ValueError("no MobileViT: neither published names (conv_1.), nor timm's (stages.), nor ours (stem.); found: "
                         + shown(state_dict))
    heads = {name: next((key for key in state_dict if key.startswith(starts)), None) for name, starts in _HEADS.items()}
    heads = {name: key for name, key in heads.items() if key}
    found = ', '.join(f'{name} ({key})' for name, key in heads.items()) or 'a backbone without a head'
    whole = task == 'auto'
    if whole:
        if len(heads) > 1:
            raise ValueError(f'heads of more than one task: {found}')
        task = next(iter(heads), 'backbone')
    elif task != 'backbone' and list(heads) != [task]:
        raise ValueError(f'--task {task}, but its keys are those of {found}')

    backbone = to_ours(state_dict, names, 'backbone')
    model = _identify_model(backbone, names, arch)
    if task == 'backbone':
        kept = {id(value) for value in backbone.values()}  # tensors pass a change of names as they are
        left_out = tuple(key for key, value in state_dict.items() if id(value) not in kept)
        if whole and left_out:
            raise ValueError(f'{len(left_out)} of {len(state_dict)} tensors belong neither to the backbone {model} nor to a '
                             f'head of ours: {grouped(left_out)}; --task backbone takes the backbone alone')
        return Identified(names, task, model, left_out=left_out)
    return Identified(names, task, model, _head(state_dict, task), _num_classes(state_dict))


def original_names(checkpoint: dict, found: Identified) -> str:
    """Whose names a checkpoint had before it was converted; weights of timm's v1 take another order of channels."""
    return checkpoint.get('meta', {}).get('names', found.names) if found.names == 'ours' else found.names


def takes_rgb(checkpoint: dict, found: Identified) -> bool:
    """Whether weights take RGB, as timm and torchvision feed it, where our configs of their model feed BGR: those that were
    trained there, or turned round.
    """
    turned = checkpoint.get('meta', {}).get('channel_order') == 'rgb'
    bgr = get_arch(found.family, found.arch).channel_order == 'bgr'
    return bgr and (turned or original_names(checkpoint, found) in ('timm', 'integrations'))


def to_ours(state_dict: StateDict, names: str, task: str) -> StateDict:
    """Rename a state dict from any of these names to ours; see :func:`.published.from_published` for the tasks.

    Raises:
        ValueError: A tensor has no place in such a model.
    """
    if names == 'published':
        return from_published(state_dict, task)
    if names == 'timm':
        return from_timm(state_dict, task)
    if names == 'integrations':
        state_dict = {key if key.startswith('head.') else f'backbone.{key}': value for key, value in state_dict.items()}
    if task != 'backbone':
        return dict(state_dict)
    prefix = 'backbone.' if any(key.startswith('backbone.') for key in state_dict) else ''
    return {key.removeprefix(prefix): value for key, value in state_dict.items()
            if key.startswith(prefix) and not key.startswith(f'{prefix}expansion.')}


@functools.cache
def backbone_tensors(model: str) -> StateDict:
    """The tensors of layer1 .. layer5 of a model such as ``'mvit3_s'``, on the meta device.

    Raises:
        ValueError: There is no such model.
    """
    family, _, arch = model.partition('_')
    classes = {f'mvit{name[1]}': cls for name, cls in FAMILIES.items()}
    if family not in classes:
        raise ValueError(f'--arch {model} is not possible; allowed: auto, {", ".join(MODELS)}, and other widths')
    with torch.device('meta'):
        return classes[family](arch).state_dict()


def _identify_model(backbone: StateDict, names: str, arch: str) -> str:
    candidates = MODELS if arch in (*MODELS, 'auto') else (*MODELS, arch)
    fitting = [model for model in candidates if not differences(backbone, backbone_tensors(model))]
    if arch in fitting or arch == 'auto' and len(fitting) == 1:
        return fitting[0]  # under the paper's name, if the paper has it
    if fitting:
        raise ValueError(f'--arch {arch}, but its shapes are those of {fitting[0]}')
    closest = arch if arch != 'auto' else min(
        candidates, key=lambda model: sum(map(len, differences(backbone, backbone_tensors(model)).values())))
    wanted = backbone_tensors(closest)
    if names == 'published':
        backbone, wanted = (to_published(tensors, 'backbone') for tensors in (backbone, wanted))
    raise ValueError(f"no backbone of the papers; it comes closest to {closest}, but differs (under "
                     f"{'published' if names == 'published' else 'our'} names, of the backbone alone):\n"
                     + report(differences(backbone, wanted), backbone, wanted))


def _head(state_dict: StateDict, task: str) -> str:
    if task == 'detection':
        return 'ssdlite'
    if task == 'segmentation':
        return 'pspnet' if any('.psp_layer.' in key or '.psp_modules.' in key for key in state_dict) else 'deeplabv3'
    return ''


def _num_classes(state_dict: StateDict) -> int | None:
    """The number of classes from the shape of the last bias; None if there is no such bias."""
    if key := next((key for key in _CLASSIFIERS if key in state_dict), None):
        return state_dict[key].numel() or None
    # the last level of SSDLite has 4 anchors, each with 4 offsets (published: in the same convolution), classes, background
    if (key := 'ssd_heads.5.loc_cls_layer.block.conv.bias') in state_dict:
        return max(state_dict[key].numel() // 4 - 5, 0) or None
    if (key := 'bbox_head.cls_convs.5.bias') in state_dict:
        return max(state_dict[key].numel() // 4 - 1, 0) or None
    return None
