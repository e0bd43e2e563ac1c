"""The miniature form of a config: the same model, head, loss and recipe on a drawn data set, in minutes on a CPU."""
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmengine.dataset import DefaultSampler
from mmengine.logging import print_log

from ..datasets.configs import EVALUATORS, LOADERS, data_sets
from ..datasets.mini import FOLDERS, MAKERS
from ..registry import DATA_SAMPLERS, class_path, type_name
from ..utils.paths import MIM
from .lr_scaling import COUNTS, is_average, iteration_keys, schedulers

_SHARE = 0.05  # of the iterations, the most that warm-up and the horizon of EMA may take: 0.9995^500 is still 78 %
# of transforms, of the data preprocessor, of the multi-scale sampler
_PIXEL_KEYS = ('scale', 'scales', 'max_size', 'min_side', 'crop_size', 'size', 'sizes', 'base_size')


@dataclass(frozen=True)
class Mini:
    """How a recipe shrinks for one miniature data set."""
    maker: str  # key of datasets.mini.MAKERS
    stock: str  # config of configs/_base_/datasets/ that reads the original
    num_classes: int
    side: int  # shorter side of the training images, in pixels
    train_images: int
    batch_size: int
    epochs: int


MINIS = dict(
    ADE20KDataset=Mini('ade20k', 'ade20k.py', num_classes=150, side=96, train_images=48, batch_size=8, epochs=20),
    CocoDataset=Mini('coco', 'coco_ssdlite.py', num_classes=80, side=192, train_images=120, batch_size=4, epochs=30),
    ImageNet=Mini('imagenet', 'imagenet_v2type.py', num_classes=1000, side=64, train_images=240, batch_size=16, epochs=30),
    PascalVOCDataset=Mini('voc2012', 'voc2012_v2type.py', num_classes=21, side=96, train_images=60, batch_size=8, epochs=20))
# types for any classes -> the type of the same task whose miniature stands in
STAND_INS = dict(BaseSegDataset='ADE20KDataset', CustomDataset='ImageNet')


def _settings(node) -> Iterator[tuple]:
    """Every setting in a part of a config, at any depth: what holds it, its key, its value."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, (list, tuple)) else ()
    for key, value in list(items):
        yield node, key, value
        yield from _settings(value)


def _pixels(value) -> list[float]:
    """The lengths in a setting; fractions of an image are none, and neither is -1, which means any length."""
    if isinstance(value, (list, tuple)):
        return [length for part in value for length in _pixels(part)]
    return [value] if value is not None and value > 1 else []


def _shrink_factor(pipeline: ConfigDict, side: int) -> float:
    """The factor that makes this the shorter side of the images that a pipeline ends with, 1 if they are no larger."""
    sizes = list(filter(None, (_pixels(value) for _, key, value in _settings(pipeline) if key in _PIXEL_KEYS)))
    return min(1, side / min(sizes[-1])) if sizes else 1


def _shrink_pixels(node, factor: float) -> None:
    """Scale, in place, every length in pixels in a pipeline or a preprocessor, to multiples of 8, for the strides' sake."""
    def scaled(value):
        if isinstance(value, (list, tuple)):
            return type(value)(map(scaled, value))
        return max(8, 8 * round(value * factor / 8)) if _pixels(value) else value
    for holder, key, value in _settings(node):
        if key in _PIXEL_KEYS:
            holder[key] = scaled(value)


def _epoch_lengths(loader: ConfigDict, images: int, epochs: int) -> list[int]:
    """Number of batches of a training loader in each epoch, for N images; at seed 0 if batch sizes are drawn."""
    if 'batch_sampler' not in loader:
        return [-(-images // loader.batch_size)] * epochs
    batches = DATA_SAMPLERS.build(loader.batch_sampler, default_args=dict(
        sampler=DefaultSampler(range(images), seed=0), batch_size=loader.batch_size))
    return [batches.length_of(epoch) if hasattr(batches, 'length_of') else len(batches) for epoch in range(epochs)]


def _move_paths(node, old: str, new: str) -> None:
    """Let, in place, every path below the folder ``old`` in an evaluator lie below ``new`` instead."""
    for holder, key, value in _settings(node):
        if isinstance(value, str) and Path(value).is_relative_to(old):
            holder[key] = str(Path(new) / Path(value).relative_to(old))


def _read_stand_in(cfg: Config, mini: Mini) -> None:
    """Let, in place, all loaders and evaluators of a config read a stock data set as that one's config does.

    Pipelines stay.
    """
    stock = Config.fromfile(MIM / 'configs' / '_base_' / 'datasets' / mini.stock)
    for name in LOADERS:
        original = next(iter(data_sets(stock[name]).values()))
        for dataset in data_sets(cfg.get(name)).values():
            scope = class_path(dataset).split('.')[:-1][:1]
            keys = dict(original, type='.'.join([*scope, original.type]), pipeline=dataset.get('pipeline', []))
            dataset.clear()
            dataset.update(keys)
    for name in EVALUATORS:
        for holder, key, _ in _settings(cfg.get(name)):
            if key == 'ann_file' and 'ann_file' in stock[name]:
                holder[key] = stock[name].ann_file


def _set_num_classes(cfg: Config, own: ConfigDict, mini: Mini) -> None:
    """Set the classes of a model, in place, to those of a miniature data set."""
    classes = (own.get('metainfo') or {}).get('classes')
    known = isinstance(classes, (list, tuple))  # a file may name them, or the folders
    print_log(f'--mini: the config has {f"{len(classes)} " if known else ""}classes of its own; in their place it now has '
              f'the {mini.num_classes} of the miniature data set', logger='current')
    for part in (cfg.model, cfg.get('data_preprocessor')):
        for holder, key, value in _settings(part):
            if key == 'num_classes' and (not known or value == len(classes)):
                holder[key] = mini.num_classes


def _limit_detections(test_cfg: ConfigDict) -> None:
    """Limit, in place, the detections of an image: in such a short training thousands of them are above the threshold."""
    for key, limit in dict(max_per_class=400, max_per_img=200).items():
        if test_cfg.get(key) == -1:
            test_cfg[key] = limit


def _shrink_schedulers(found: list[ConfigDict], epochs: float, iters: int) -> None:
    """Shrink, in place, the schedules of the learning rate.

    Args:
        found: Their configs. Those that go by iterations are warm-ups, unless all do and some are none by their kind.
        epochs: Factor of what counts epochs.
        iters: Iterations of the miniature training.
    """
    counted = [iteration_keys(each) for each in found]
    longest = max([1, *({'milestones': max, 'periods': sum}.get(key, int)(each[key])
                        for each, keys in zip(found, counted, strict=True) for key in keys if key != 'begin')])
    whole = not any(each.get('by_epoch', True) for each in found) and any(
        not type_name(each).startswith(('Linear', 'Constant')) for each in found)
    factor = iters / longest if whole else min(1, round(_SHARE * iters) / longest)
    for each, keys in zip(found, counted, strict=True):
        for key in {*COUNTS, 'warmup_iters'} & each.keys():
            each[key] = _scaled(each[key], factor if key in keys else epochs, int(key not in ('begin', 'warmup_iters')))


def _scaled(count, factor: float, least: int):
    if isinstance(count, (list, tuple)):
        return [_scaled(each, factor, least) for each in count]
    return max(least, round(count * factor))


def _shrink_schedule(cfg: Config, mini: Mini) -> None:
    lengths = _epoch_lengths(cfg.train_dataloader, mini.train_images, mini.epochs)
    iters = sum(lengths)
    epochs_before = cfg.train_cfg.max_epochs
    cfg.train_cfg.max_epochs = mini.epochs
    cfg.train_cfg.val_interval = max(1, mini.epochs // 5)
    _shrink_schedulers(schedulers(cfg), mini.epochs / epochs_before, iters)
    for hook in cfg.get('custom_hooks') or []:
        if is_average(hook):
            hook.momentum = max(hook.get('momentum', 2e-4), 1 / (_SHARE * iters))
    cfg.default_hooks = cfg.get('default_hooks') or ConfigDict()
    if (logger := cfg.default_hooks.setdefault('logger', ConfigDict(type='LoggerHook'))) is not None:
        logger.interval = min(logger.get('interval', 10), min(lengths))


def name_pipelines(cfg: Config) -> None:
    """Let, in place, a config's pipelines by name be those of its loaders: mmseg's ``inference_model`` reads them there."""
    for loader in LOADERS:
        name, first = loader.replace('dataloader', 'pipeline'), next(iter(data_sets(cfg.get(loader)).values()), {})
        if name in cfg and 'pipeline' in first:
            cfg[name] = copy.deepcopy(first.pipeline)


def _training_set(cfg: Config) -> tuple[ConfigDict, Mini]:
    """The data set that a config trains on (the first, if it joins several), and its miniature.

    Raises:
        ValueError: There is no data set, or no miniature of it.
    """
    first = next(iter(data_sets(cfg.get('train_dataloader')).values()), None)
    if first is None:
        raise ValueError('--mini: the config has no train_dataloader, whose data set says which miniature to take')
    name = type_name(first)
    if name not in (*MINIS, *STAND_INS):
        raise ValueError(f'--mini knows no miniature of {class_path(first)}; there is one of '
                         + ', '.join([*MINIS, *STAND_INS]))
    return first, MINIS[STAND_INS.get(name, name)]


def to_mini(cfg: Config, root: str | Path = 'data/mini') -> Config:
    """Turn a config into its miniature form, and draw the data set if it is not there.

    Model, head, loss and recipe stay. Lengths in pixels, batch, schedule, warm-up and the horizon of EMA shrink. A config
    with other classes takes the miniature of the stock data set of its task, and its classes.

    Args:
        cfg: The config; changed in place.
        root: Where miniature data sets live, in the layout of ``data/``.

    Raises:
        ValueError: There is no miniature form of the config's data set, or of its schedule.
    """
    first, mini = _training_set(cfg)
    if 'max_epochs' not in (cfg.get('train_cfg') or {}):
        raise ValueError('--mini needs an epoch-based schedule, but train_cfg has no max_epochs; take a config with '
                         "train_cfg=dict(type='mvit3_bench.ResumableTrainLoop', max_epochs=...)")
    folder = MAKERS[mini.maker](Path(root) / FOLDERS[mini.maker], train=mini.train_images)
    print_log(f'miniature data set: {folder}', logger='current')
    if 'metainfo' in first or type_name(first) in STAND_INS:
        _set_num_classes(cfg, first, mini)
        _read_stand_in(cfg, mini)
    factor = _shrink_factor(cfg.train_dataloader.dataset, mini.side)
    for name in EVALUATORS:
        for dataset in data_sets(cfg.get(name.replace('evaluator', 'dataloader'))).values():
            _move_paths(cfg.get(name), dataset.data_root, str(folder))
    for loader in filter(None, map(cfg.get, LOADERS)):
        for dataset in data_sets(loader).values():
            dataset.data_root = str(folder)
        _shrink_pixels(loader.dataset, factor)
        _shrink_pixels(loader.get('batch_sampler'), factor)
        loader.num_workers = 0  # the images are small: a worker costs more than it saves
        loader.persistent_workers = False
    cfg.train_dataloader.batch_size = mini.batch_size
    cfg.auto_scale_lr = ConfigDict(enable=False, base_batch_size=mini.batch_size)
    for preprocessor in (cfg.model.get('data_preprocessor'), cfg.get('data_preprocessor')):
        _shrink_pixels(preprocessor, factor)
    _shrink_schedule(cfg, mini)
    _limit_detections(cfg.model.get('test_cfg') or ConfigDict())
    name_pipelines(cfg)
    return cfg
