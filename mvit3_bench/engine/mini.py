"""The miniature form of a config: the same model, head, loss and recipe on a drawn data set, in minutes on a CPU."""
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log
from torch.utils.data import SequentialSampler

from ..datasets.mini import FOLDERS, MAKERS
from ..registry import DATA_SAMPLERS

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
EVALUATORS = ('val_evaluator', 'test_evaluator')
_SHARE = 0.05  # of the iterations, the most that warm-up and the horizon of EMA may take: 0.9995^500 is still 78 %
# of transforms, of the data preprocessor, of the multi-scale sampler
_PIXEL_KEYS = ('scale', 'scales', 'max_size', 'crop_size', 'size', 'sizes', 'base_size')


@dataclass(frozen=True)
class Mini:
    """How a recipe shrinks for one miniature data set."""
    maker: str  # key of datasets.mini.MAKERS
    shrink: float  # factor of every length in pixels
    train_images: int
    batch_size: int
    epochs: int


MINIS = dict(
    ADE20KDataset=Mini('ade20k', shrink=96 / 512, train_images=48, batch_size=8, epochs=20),
    CocoDataset=Mini('coco', shrink=192 / 320, train_images=120, batch_size=4, epochs=30),
    ImageNet=Mini('imagenet', shrink=64 / 256, train_images=240, batch_size=16, epochs=30),
    PascalVOCDataset=Mini('voc2012', shrink=96 / 512, train_images=60, batch_size=8, epochs=20))


def data_sets(loader: ConfigDict | None) -> dict[str, ConfigDict]:
    """The data sets of a loader, whatever wraps or joins them, by their keys below the loader; of no loader, none."""
    if loader is None:
        return {}
    inner = {'dataset': loader.dataset} if isinstance(loader.get('dataset'), dict) else {
        f'datasets.{number}': part for number, part in enumerate(loader.get('datasets', []))}
    return {'.'.join(filter(None, [key, below])): dataset
            for key, part in inner.items() for below, dataset in (data_sets(part) or {'': part}).items()}


def _shrink_pixels(node, factor: float) -> None:
    """Scale, in place, every length in pixels in a pipeline or a preprocessor."""
    def scaled(value):
        return type(value)(map(scaled, value)) if isinstance(value, (list, tuple)) else round(value * factor)
    if isinstance(node, (list, tuple)):
        for item in node:
            _shrink_pixels(item, factor)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in _PIXEL_KEYS and value is not None:
                node[key] = scaled(value)
            else:
                _shrink_pixels(value, factor)


def _batches(loader: ConfigDict, images: int) -> int:
    """How many batches a training loader makes of so many images."""
    if 'batch_sampler' not in loader:
        return -(-images // loader.batch_size)
    return len(DATA_SAMPLERS.build(loader.batch_sampler, default_args=dict(
        sampler=SequentialSampler(range(images)), batch_size=loader.batch_size)))


def _move_paths(node, old: str, new: str) -> None:
    """Let, in place, every path below the folder ``old`` in an evaluator lie below ``new`` instead."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        if isinstance(value, (dict, list)):
            _move_paths(value, old, new)
        elif isinstance(value, str) and Path(value).is_relative_to(old):
            node[key] = str(Path(new) / Path(value).relative_to(old))


def _shrink_schedule(cfg: Config, mini: Mini) -> None:
    batches = _batches(cfg.train_dataloader, mini.train_images)
    iters = mini.epochs * batches
    epochs_before = cfg.train_cfg.max_epochs
    cfg.train_cfg.max_epochs = mini.epochs
    cfg.train_cfg.val_interval = max(1, mini.epochs // 5)
    for scheduler in cfg.param_scheduler:
        by_epoch = scheduler.get('by_epoch', True)
        for key in ('begin', 'end', 'T_max'):
            if key in scheduler:
                scheduler[key] = (round(scheduler[key] * mini.epochs / epochs_before) if by_epoch
                                  else min(scheduler[key], round(_SHARE * iters)))
    for hook in cfg.get('custom_hooks', []):
        if hook.type == 'EMAHook':
            hook.momentum = max(hook.momentum, 1 / (_SHARE * iters))
    cfg.default_hooks.logger.interval = min(cfg.default_hooks.logger.interval, batches)


def to_mini(cfg: Config, root: str | Path = 'data/mini') -> Config:
    """Turn a config into its miniature form, and draw the data set if it is not there.

    Model, head, loss and recipe stay. Lengths in pixels, batch, schedule, warm-up and the horizon of EMA shrink.

    Args:
        cfg: The config; changed in place.
        root: Where miniature data sets live, in the layout of ``data/``.

    Raises:
        ValueError: There is no miniature form of the config's data set, or of its schedule.
    """
    first = next(iter(data_sets(cfg.get('train_dataloader')).values()), None)
    if first is None:
        raise ValueError('--mini: the config has no train_dataloader, whose data set says which miniature to take')
    if first.type not in MINIS:
        raise ValueError(f'--mini knows no miniature of {first.type}; there is one of {", ".join(MINIS)}')
    if 'metainfo' in first:
        raise ValueError(f'--mini: the config has classes of its own, the miniature {first.type} those of the original')
    if 'max_epochs' not in (cfg.get('train_cfg') or {}):
        raise ValueError('--mini needs an epoch-based schedule, but train_cfg has no max_epochs; take a config with '
                         "train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=...)")
    mini = MINIS[first.type]
    folder = MAKERS[mini.maker](Path(root) / FOLDERS[mini.maker], train=mini.train_images)
    print_log(f'miniature data set: {folder}', logger='current')
    for name in EVALUATORS:
        for dataset in data_sets(cfg.get(name.replace('evaluator', 'dataloader'))).values():
            _move_paths(cfg[name], dataset.data_root, str(folder))
    for loader in filter(None, map(cfg.get, LOADERS)):
        for dataset in data_sets(loader).values():
            dataset.data_root = str(folder)
        _shrink_pixels(loader.dataset, mini.shrink)
        _shrink_pixels(loader.get('batch_sampler'), mini.shrink)
        loader.num_workers = 0  # the images are small: a worker costs more than it saves
        loader.persistent_workers = False
    cfg.train_dataloader.batch_size = mini.batch_size
    cfg.auto_scale_lr = ConfigDict(enable=False, base_batch_size=mini.batch_size)
    _shrink_pixels(cfg.model.data_preprocessor, mini.shrink)
    _shrink_schedule(cfg, mini)
    return cfg
