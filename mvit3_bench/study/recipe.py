"""The recipe of each config of the study, read from the config as the suite runs it."""
from mmengine.config import Config

from ..datasets.configs import data_sets
from ..engine.input_size import input_size
from ..engine.lr_scaling import is_average, schedulers
from ..engine.options import merge_options
from ..engine.run_config import read_config
from ..registry import type_name
from ..suite.runs import Suite

COLUMNS = ('config', 'epochs', 'batch', 'images of', 'optimiser', 'learning rate', 'average of the weights',
           'training transforms')
_SCHEDULE = ('start_factor', 'warmup_start_factor', 'warmup_iters', 'eta_min_ratio', 'begin', 'end', 'T_max')


def rows(suite: Suite) -> list[tuple[str, ...]]:
    """The recipe of each config, in the order of the suite: the cells of ``COLUMNS``."""
    found = {}
    for run in suite.runs:
        if run.recorded not in found:
            cfg = read_config(run.config)
            merge_options(cfg, run.options)
            found[run.recorded] = _row(run.recorded, cfg)
    return list(found.values())


def data_roots(suite: Suite) -> list[str]:
    """The folders of data that the runs of a suite read."""
    found = {}
    for config in dict.fromkeys(run.config for run in suite.runs):
        found |= {dataset.data_root: None for dataset in data_sets(read_config(config).train_dataloader).values()}
    return list(found)


def _row(config: str, cfg: Config) -> tuple[str, ...]:
    optimizer, clip = cfg.optim_wrapper.optimizer, cfg.optim_wrapper.get('clip_grad')
    height, width = input_size(cfg)
    dataset, = data_sets(cfg.train_dataloader).values()
    steps = [type_name(inner) for step in dataset.pipeline for inner in step.get('transforms', [step])]
    average = next((hook for hook in cfg.get('custom_hooks') or [] if is_average(hook)), None)
    clipped = f', gradients to {clip.max_norm:g}' if clip else ''
    return (config.removesuffix('.py'), str(cfg.train_cfg.max_epochs), str(cfg.train_dataloader.batch_size),
            f'{width}x{height}', _call(optimizer, ('lr', 'weight_decay')) + clipped,
            ', '.join(_call(each, _SCHEDULE) for each in schedulers(cfg)),
            _call(average, ('momentum',)) if average else 'none',
            ', '.join(step for step in steps if not step.startswith(('Load', 'Pack'))))


def _call(part: dict, keys: tuple[str, ...]) -> str:
    """``AdamW(lr=0.001)``"""
    return f'{type_name(part)}({", ".join(f"{key}={part[key]:g}" for key in keys if key in part)})'
