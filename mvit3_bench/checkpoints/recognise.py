"""What a checkpoint is, from its keys and shapes alone: whose names, which task, which model, which config."""
import functools
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import DATASETS
from torch import nn

from ..hub import MIM
from ..models import ARCHS, MobileViTv1, MobileViTv2, MobileViTv3
from ..registry import MODELS
from ..text import grouped, shown
from .io import differences
from .published import StateDict, from_published, to_published
from .timm import from_timm

TASKS = ('backbone', 'classification', 'detection', 'segmentation')

# how keys begin: whose names they are (the first that matches counts), which task they serve
_NAMES = dict(published=('conv_1.', 'encoder.conv_1.'), timm=('stages.',), ours=('stem.', 'backbone.stem.'))
_HEADS = dict(
    classification=('classifier.', 'head.'),
    detection=('ssd_heads.', 'bbox_head.'),
    segmentation=('seg_head.', 'decode_head.'))
# task -> folder of configs/, framework
_CONFIGS = dict(classification=('cls', 'mmpretrain'), detection=('det', 'mmdet'), segmentation=('seg', 'mmseg'))
# the last bias of a classifier or segmentor, under each of the names
_CLASSIFIERS = ('classifier.fc.bias', 'classifier.1.bias', 'head.fc.bias', 'seg_head.classifier.block.conv.bias',
                'seg_head.classifier.classifier.block.conv.bias', 'decode_head.conv_seg.bias')

_FAMILIES = dict(mvit1=MobileViTv1, mvit2=MobileViTv2, mvit3=MobileViTv3)
_MODELS = tuple(f'mvit{family[1]}_{arch}' for family, archs in ARCHS.items() for arch in archs)


@dataclass(frozen=True)
class Recognised:
    """What a state dict is.

    Args:
        names: Whose: ``'published'``, ``'timm'`` or ``'ours'``.
        task: One of ``TASKS``; ``'backbone'`` if there is no head, or if only the backbone is wanted.
        model: Family and arch, as in the names of configs: ``'mvit3_s'``.
        head: As in the names of configs: ``'ssdlite'``, ``'deeplabv3'``, ``'pspnet'``; empty for classifiers and backbones.
        num_classes: Without background; None for a backbone.
        configs: Those whose model it fits with ``strict=True``, with what to change in them; empty for a backbone.
        dataset_meta: Classes of the first config's data set, as OpenMMLab's checkpoints have them; None if its model has
            another number of classes, its classes are an example's own, or there is no config.
        left_out: Keys that do not belong to the backbone, if only that is wanted.
    """
    names: str
    task: str
    model: str
    head: str = ''
    num_classes: int | None = None
    configs: tuple[str, ...] = ()
    dataset_meta: dict | None = None
    left_out: tuple[str, ...] = ()


def recognise(state_dict: StateDict, task: str = 'auto', arch: str = 'auto') -> Recognised:
    """Tell what a state dict is.

    Args:
        state_dict: Tensors of one model and nothing else.
        task: One of ``TASKS``; ``'backbone'`` looks at the backbone alone, whatever the head. ``'auto'``: from the keys.
        arch: Family and arch, as in ``'mvit3_s'``. ``'auto'``: from the shapes, one of the papers' models.

    Raises:
        ValueError: It is none of these models, it lacks tensors or has others; or it is not the given task or arch.
    """
    state_dict = {key: value.detach() for key, value in state_dict.items()}  # each one's own, if two keys share a tensor
    names = next((name for name, starts in _NAMES.items() if any(key.startswith(starts) for key in state_dict)), None)
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
    model = _recognise_model(backbone, names, arch)
    if task == 'backbone':
        kept = {id(value) for value in backbone.values()}  # tensors pass a change of names as they are
        left_out = tuple(key for key, value in state_dict.items() if id(value) not in kept)
        if whole and left_out:
            raise ValueError(f'{len(left_out)} of {len(state_dict)} tensors belong neither to the backbone {model} nor to a '
                             f'head of ours: {grouped(left_out)}; --task backbone takes the backbone alone')
        return Recognised(names, task, model, left_out=left_out)
    return _recognise_head(state_dict, names, task, model)


def origin(checkpoint: dict, found: Recognised) -> str:
    """Whose names a checkpoint had before any conversion: they tell, of timm's, in which order its weights take colours."""
    return checkpoint.get('meta', {}).get('names', found.names) if found.names == 'ours' else found.names


def to_ours(state_dict: StateDict, names: str, task: str) -> StateDict:
    """Rename a state dict, whosever names it has; see :func:`.published.from_published` for the tasks.

    Raises:
        ValueError: A tensor has no place in such a model.
    """
    if names == 'published':
        return from_published(state_dict, task)
    if names == 'timm':
        return from_timm(state_dict, task)
    if task != 'backbone':
        return dict(state_dict)
    prefix = 'backbone.' if any(key.startswith('backbone.') for key in state_dict) else ''
    return {key.removeprefix(prefix): value for key, value in state_dict.items()
            if key.startswith(prefix) and not key.startswith(f'{prefix}expansion.')}


def _recognise_model(backbone: StateDict, names: str, arch: str) -> str:
    candidates = _MODELS if arch in (*_MODELS, 'auto') else (*_MODELS, arch)
    fitting = [model for model in candidates if not differences(backbone, _backbone(model))]
    if arch in fitting or arch == 'auto' and len(fitting) == 1:
        return fitting[0]  # which has the paper's name, if it is one of the paper's
    if fitting:
        raise ValueError(f'--arch {arch}, but its shapes are those of {fitting[0]}')
    closest = arch if arch != 'auto' else min(
        candidates, key=lambda model: sum(map(len, differences(backbone, _backbone(model)).values())))
    wanted = _backbone(closest)
    if names == 'published':
        backbone, wanted = (to_published(tensors, 'backbone') for tensors in (backbone, wanted))
    raise ValueError(f"no backbone of the papers; it comes closest to {closest}, but differs (under "
                     f"{'published' if names == 'published' else 'our'} names, of the backbone alone):\n"
                     + _report(differences(backbone, wanted), backbone, wanted))


@functools.cache
def _backbone(model: str) -> StateDict:
    """The tensors of layer1 .. layer5, without memory."""
    family, _, arch = model.partition('_')
    if family not in _FAMILIES:
        raise ValueError(f'--arch {model} is not possible; allowed: auto, {", ".join(_MODELS)}, and other widths')
    with torch.device('meta'):
        return _FAMILIES[family](arch).state_dict()


def _recognise_head(state_dict: StateDict, names: str, task: str, model: str) -> Recognised:
    """Find the configs whose whole model this is."""
    folder, framework = _CONFIGS[task]
    if not find_spec(framework):
        raise ValueError(f"{task} needs {framework}, to check the head: pip install 'mvit3-bench[openmmlab]'; "
                         '--task backbone needs none')
    configs = list(_configs(folder, model))
    if not configs:
        raise ValueError(f'no config in configs/{folder} has the backbone {model} to check the head with; '
                         '--task backbone takes the backbone alone')
    found = state_dict if names == 'published' else to_ours(state_dict, names, task)
    num_classes = _num_classes(state_dict)
    fitting, almost, failures = {}, {}, []  # almost: but for the number of classes
    for path, cfg in configs:
        name = f'configs/{folder}/{path.name}'
        for changed in (False, True) if num_classes else (False,):
            if changed:
                _set_num_classes(cfg, num_classes)
            wanted = _build(cfg).state_dict()
            if names == 'published':  # compared under the file's names, which the messages then have
                wanted = to_published(wanted, task)
            if problems := differences(found, wanted):
                failures.append((sum(map(len, problems.values())), name, _report(problems, found, wanted)))
            elif changed:
                almost[f'{name} with num_classes={num_classes}'] = cfg
            else:
                fitting[name] = cfg
                break
    if not fitting and not almost:
        _, name, report = min(failures, key=lambda failure: failure[0])  # of several, the plainest config
        raise ValueError(f'a {task} model on {model}, but it differs from {name}:\n{report}')
    name, cfg = next(iter((fitting or almost).items()))
    head = Path(name).name.partition(model)[0].rstrip('_')
    return Recognised(names, task, model, head, num_classes, configs=tuple(fitting or almost),
                      dataset_meta=_dataset_meta(cfg) if fitting else None)


def _configs(folder: str, model: str) -> Iterator[tuple[Path, Config]]:
    """Configs whose backbone this is, the one of the plainest name first."""
    for path in sorted((MIM / 'configs' / folder).glob(f'*{model}_*.py'), key=lambda path: (len(path.name), path.name)):
        cfg = Config.fromfile(path)
        backbone = cfg.model.backbone
        if f'mvit{backbone.type[-1]}_{backbone.arch}' == model:
            yield path, cfg


def _num_classes(state_dict: StateDict) -> int:
    """The number of classes, from the last bias; 0 if there is none."""
    if key := next((key for key in _CLASSIFIERS if key in state_dict), None):
        return state_dict[key].numel()
    # the last level of SSDLite has 4 anchors, each with 4 offsets (published: in the same convolution), classes, background
    if (key := 'ssd_heads.5.loc_cls_layer.block.conv.bias') in state_dict:
        return max(state_dict[key].numel() // 4 - 5, 0)
    if (key := 'bbox_head.cls_convs.5.bias') in state_dict:
        return max(state_dict[key].numel() // 4 - 1, 0)
    return 0


def _set_num_classes(cfg: Config, num_classes: int) -> None:
    for part in ('head', 'bbox_head', 'decode_head', 'auxiliary_head'):
        if part in cfg.model:
            cfg.model[part].num_classes = num_classes


def _build(cfg: Config) -> nn.Module:
    cfg.model.pop('train_cfg', None)  # nothing is trained, and mmpretrain would speak of its augmentations
    with torch.device('meta'), warnings.catch_warnings():
        warnings.filterwarnings('ignore', message='``build_loss`` would be deprecated')  # mmseg of its own heads
        return MODELS.build(cfg.model | dict(_scope_=cfg.default_scope))


def _dataset_meta(cfg: Config) -> dict | None:
    """Classes and palette of a config's data set; None if it has its own, for their number alone does not tell them."""
    dataset = cfg.test_dataloader.dataset
    with DATASETS.switch_scope_and_registry(cfg.default_scope) as registry:
        meta = registry.get(dataset.type).METAINFO
    return None if 'metainfo' in dataset else dict(meta)


def _report(problems: dict[str, list[str]], found: StateDict, wanted: StateDict) -> str:
    lines = []
    for kind, keys in problems.items():
        if kind == 'of another shape':
            keys = [f'{key} {tuple(found[key].shape)} instead of {tuple(wanted[key].shape)}' for key in keys]
        lines.append(f'  {len(keys)} {kind}: {shown(keys)}')
    return '\n'.join(lines)
