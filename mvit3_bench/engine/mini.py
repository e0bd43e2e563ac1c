"""The miniature form of a config: the same model, head, loss and recipe on a drawn data set, in minutes on a CPU."""
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log

from ..datasets.mini import FOLDERS, MAKERS

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
_SHARE = 0.05  # of the iterations, the most that warm-up and the horizon of EMA may take: 0.9995^500 is still 78 %
_PIXEL_KEYS = ('scale', 'scales', 'max_size', 'crop_size', 'size')  # of transforms and of the data preprocessor


@dataclass(frozen=True)
class Mini:
    """How a recipe shrinks for one miniature data set."""
    maker: str  # key of datasets.mini.MAKERS
    shrink: float  # factor of every length in pixels
    train_images: int
    batch_size: int
    epochs: int


MINIS = dict(
    ADE20KDataset=Mini('ade20k', shrink=96 / 512, train_images=48, batch_size=8, epochs=20))


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


def _shrink_schedule(cfg: Config, mini: Mini) -> None:
    iters = mini.epochs * (mini.train_images // mini.batch_size)
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
    cfg.default_hooks.logger.interval = min(cfg.default_hooks.logger.interval, mini.train_images // mini.batch_size)


def to_mini(cfg: Config, root: str | Path = 'data/mini') -> Config:
    """Turn a config into its miniature form, and draw the data set if it is not there.

    Model, head, loss and recipe stay. Lengths in pixels, batch, schedule, warm-up and the horizon of EMA shrink.

    Args:
        cfg: The config; changed in place.
        root: Where miniature data sets live, in the layout of ``data/``.

    Raises:
        ValueError: There is no miniature form of the config's data set.
    """
    dataset_type = cfg.train_dataloader.dataset.type
    if dataset_type not in MINIS:
        raise ValueError(f'--mini knows no miniature of {dataset_type}; there is one of {", ".join(MINIS)}')
    mini = MINIS[dataset_type]
    folder = MAKERS[mini.maker](Path(root) / FOLDERS[mini.maker], train=mini.train_images)
    print_log(f'miniature data set: {folder}', logger='current')
    for name in LOADERS:
        loader = cfg[name]
        loader.dataset.data_root = str(folder)
        loader.num_workers = 0  # the images are small: a worker costs more than it saves
        loader.persistent_workers = False
        _shrink_pixels(loader.dataset.pipeline, mini.shrink)
    cfg.train_dataloader.batch_size = mini.batch_size
    cfg.auto_scale_lr = ConfigDict(enable=False, base_batch_size=mini.batch_size)
    _shrink_pixels(cfg.model.data_preprocessor, mini.shrink)
    _shrink_schedule(cfg, mini)
    return cfg
