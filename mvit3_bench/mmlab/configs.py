"""Which of our configs a state dict fits."""
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import DATASETS
from torch import nn

from .. import __version__
from ..converters.compare import differences, report
from ..converters.identify import Identified, identify, original_names, to_ours
from ..converters.published import StateDict, to_published
from ..registry import MODELS
from ..utils.paths import MIM
from .backbone_names import name_of

# task -> folder of configs/, framework
_CONFIGS = dict(classification=('cls', 'mmpretrain'), detection=('det', 'mmdet'), segmentation=('seg', 'mmseg'))


@dataclass(frozen=True)
class Match(Identified):
    """What a state dict is, and which configs it fits.

    Args:
        configs: Those whose model it fits with ``strict=True``, with what to change in them; empty for a backbone.
        dataset_meta: Classes of the first config's data set, as OpenMMLab's checkpoints have them; None if its model has
            another number of classes, its classes are an example's own, or there is no config.
    """
    configs: tuple[str, ...] = ()
    dataset_meta: dict | None = None


def match_configs(state_dict: StateDict, task: str = 'auto', arch: str = 'auto') -> Match:
    """Tell what a state dict is and which configs it fits, by building their models.

    Arguments as in :func:`mvit3_bench.converters.identify.identify`.

    Raises:
        ValueError: As there; or the head is not that of a config, or the framework to build it with is not installed.
    """
    found = identify(state_dict, task, arch)
    configs, dataset_meta = ((), None) if found.task == 'backbone' else _fitting(state_dict, found)
    return Match(**vars(found), configs=configs, dataset_meta=dataset_meta)


def meta_of(checkpoint: dict, found: Match, source: str) -> dict:
    """What is known of a checkpoint, for the entry ``meta`` of the converted one: its own classes precede those of configs.

    Args:
        checkpoint: The contents of its file.
        found: What it is.
        source: Name of its file.
    """
    meta = dict(model=found.model, task=found.task, configs=list(found.configs), names=original_names(checkpoint, found),
                source=source, mvit3_bench_version=__version__)
    before = checkpoint.get('meta') or {}
    own = before.get('dataset_meta')
    known = own if found.task != 'backbone' and isinstance(own, dict) and 'classes' in own else found.dataset_meta
    order = {key: before[key] for key in ('channel_order',) if key in before}  # weights that were turned round stay that
    return meta | order | (dict(dataset_meta=known) if known else {})


def _fitting(state_dict: StateDict, identified: Identified) -> tuple[tuple[str, ...], dict | None]:
    """The configs whose whole model this is, and the classes of the first one's data set."""
    names, task, model, num_classes = identified.names, identified.task, identified.model, identified.num_classes
    folder, framework = _CONFIGS[task]
    if not find_spec(framework):
        raise ValueError(f"{task} needs {framework}, to check the head: pip install 'mvit3-bench[openmmlab]'; "
                         '--task backbone needs none')
    configs = list(_configs(folder, model))
    if not configs:
        raise ValueError(f'no config in configs/{folder} has the backbone {model} to check the head with; '
                         '--task backbone takes the backbone alone')
    found = state_dict if names == 'published' else to_ours(state_dict, names, task)
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
                failures.append((sum(map(len, problems.values())), name, report(problems, found, wanted)))
            elif changed:
                almost[f'{name} with num_classes={num_classes}'] = cfg
            else:
                fitting[name] = cfg
                break
    if not fitting and not almost:
        _, name, text = min(failures, key=lambda failure: failure[0])  # of several, the plainest config
        raise ValueError(f'a {task} model on {model}, but it differs from {name}:\n{text}')
    first = next(iter((fitting or almost).values()))
    return tuple(fitting or almost), _dataset_meta(first) if fitting else None


def _configs(folder: str, model: str) -> Iterator[tuple[Path, Config]]:
    """Configs whose backbone this is, the one of the plainest name first."""
    for path in sorted((MIM / 'configs' / folder).glob(f'*{model}_*.py'), key=lambda path: (len(path.name), path.name)):
        cfg = Config.fromfile(path)
        backbone = cfg.model.backbone
        if name_of(backbone) == model:
            yield path, cfg


def _set_num_classes(cfg: Config, num_classes: int) -> None:
    for part in ('head', 'bbox_head', 'decode_head', 'auxiliary_head'):
        if part in cfg.model:
            cfg.model[part].num_classes = num_classes


def _build(cfg: Config) -> nn.Module:
    cfg.model.pop('train_cfg', None)  # nothing is trained, and mmpretrain would speak of its augmentations
    with torch.device('meta'), warnings.catch_warnings():
        warnings.filterwarnings('ignore', message='``build_loss`` would be deprecated')  # mmseg, of its heads
        return MODELS.build(cfg.model | dict(_scope_=cfg.default_scope))


def _dataset_meta(cfg: Config) -> dict | None:
    """Classes and palette of a config's data set; None if it has its own, for their number alone does not tell them."""
    dataset = cfg.test_dataloader.dataset
    with DATASETS.switch_scope_and_registry(cfg.default_scope) as registry:
        meta = registry.get(dataset.type).METAINFO
    return None if 'metainfo' in dataset else dict(meta)
