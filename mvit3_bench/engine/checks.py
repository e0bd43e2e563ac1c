"""Checks before the start: what would fail after minutes should fail at once, and say what to do."""
import os
from collections.abc import Iterator, Sized
from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmengine.dist import get_world_size
from mmengine.registry import DATASETS
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import BatchSampler, DataLoader

from ..text import shown
from .check_coco import check_coco
from .cli import UsageError
from .mini import data_sets, type_name


def check_data(cfg: Config, loaders: tuple[str, ...]) -> None:
    """Check that the folders and files of the data sets exist, and the files that a list names; that those in COCO's
    format fit the config; that no class folder of an ImageNet is missing, no link broken, and each line of a
    list of images a file and its class; and that a classifier's numbers of classes agree.

    Args:
        cfg: The config of the run.
        loaders: Which of its loaders the run needs, for instance ``('train_dataloader', 'val_dataloader')``.

    Raises:
        FileNotFoundError: Something is missing; the message names it, the layout expected and the remedies.
        UsageError: A json is not in COCO's format, or its categories are not the classes of the config; a line of a list of
            images is not understood; or two numbers of classes in the model differ.
    """
    _check_num_classes(cfg)
    for loader in loaders:
        for key, dataset in data_sets(cfg.get(loader)).items():
            _check_data_set(cfg, loader, key, dataset)


def check_last_batch(cfg: Config, model: nn.Module, loader: DataLoader) -> None:
    """Check that no batch of a training has a single image, if the model normalises over pooled maps of 1x1.

    Args:
        cfg: The config of the run.
        model: Its model.
        loader: Its training loader, of this process.

    Raises:
        UsageError: The last batch of an epoch is one image, of which such a norm has one value per channel.
    """
    batches = getattr(loader.batch_sampler, 'batches', loader.batch_sampler)
    if type(batches) is not BatchSampler or batches.drop_last or not isinstance(batches.sampler, Sized):
        return
    if get_world_size() > 1 and cfg.get('sync_bn'):  # the norm has the values of the other processes
        return
    images, size = len(batches.sampler), batches.batch_size
    pooled = [name for name, part in model.named_modules() if isinstance(part, nn.Sequential) and len(part)
              and isinstance(part[0], nn.AdaptiveAvgPool2d) and part[0].output_size in (1, (1, 1))
              and any(isinstance(inner, _BatchNorm) for inner in part.modules())]
    if pooled and (images % size or size) == 1:
        remedy = 'train_dataloader.batch_size to 2 or more' if size == 1 else 'train_dataloader.drop_last=True'
        raise UsageError('train_dataloader: the last batch of an epoch is one image '
                         f'({images} images in batches of {size}), with which the batch norm over 1x1 in {pooled[0]} cannot '
                         f'train: set {remedy}')


def _check_num_classes(cfg: Config) -> None:
    """Mixup and cutmix turn labels into vectors of the preprocessor's length, which the loss compares with the head's."""
    vectors, scores = ((cfg.model.get(part) or {}).get('num_classes') for part in ('data_preprocessor', 'head'))
    if None not in (vectors, scores) and vectors != scores:
        raise UsageError(f'model.data_preprocessor.num_classes={vectors}, but model.head.num_classes={scores}: set both to '
                         'the number of classes of the data')


def _check_data_set(cfg: Config, loader: str, key: str, dataset: ConfigDict) -> None:
    root = Path(dataset.get('data_root') or '.')
    prefix = dataset.get('data_prefix') or {}  # mmpretrain also takes a single folder
    folders = [prefix] if isinstance(prefix, str) else [*prefix.values()]
    parts = [*filter(None, [*folders, dataset.get('ann_file'), dataset.get('split')])]
    missing = [part for part in parts if not (root / part).exists()]
    if missing:
        evaluator = loader.replace('dataloader', 'evaluator')
        keys = [f'{loader}.{key}.data_root=...'] + [f'{evaluator}.ann_file=...'] * ('ann_file' in (cfg.get(evaluator) or {}))
        raise FileNotFoundError(
            f'{loader}: {dataset.type} not found in {root}\n'
            f'  missing: {", ".join(missing)}\n'
            f'  expected layout of {root}: {", ".join(parts)}\n'
            f'  put or link the data there, name another folder with --cfg-options {" ".join(keys)}, '
            'or try it without data: --mini')
    if (dataset.get('ann_file') or '').endswith('.json'):
        with DATASETS.switch_scope_and_registry(cfg.get('default_scope')) as registry:
            kind = registry.get(dataset.type)
        if hasattr(kind, 'COCOAPI'):  # mmdet's, and what is derived from it; mmpretrain has a json format of its own
            check_coco(f'{loader}.{key}', dataset, (kind.METAINFO | (dataset.get('metainfo') or {}))['classes'],
                       cfg.model.get('bbox_head', {}).get('num_classes'))
    if type_name(dataset) == 'PascalVOCDataset':
        _check_list(root, dataset)
    if not dataset.get('ann_file'):
        _check_links([root / folder for folder in filter(None, [*folders, dataset.get('split')])])
    if type_name(dataset) in ('ImageNet', 'CustomDataset') and dataset.get('with_label', dataset.get('split') != 'test'):
        _check_classified(root, dataset, cfg.model.get('head', {}).get('num_classes'))


def _check_list(root: Path, dataset: ConfigDict) -> None:
    """Without this, a missing mask would be found when its turn comes."""
    stems = filter(None, map(str.strip, (root / dataset.ann_file).read_text(encoding='utf-8').splitlines()))
    kinds = [(dataset.data_prefix.img_path, dataset.get('img_suffix', '.jpg')),
             (dataset.data_prefix.seg_map_path, dataset.get('seg_map_suffix', '.png'))]
    files = [root / folder / f'{stem}{suffix}' for stem in stems for folder, suffix in kinds]
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        raise FileNotFoundError(f'{root / dataset.ann_file} names files that are missing: {shown(missing, total=True)}\n'
                                '  add them, or take their names from the list')


def _check_classified(root: Path, dataset: ConfigDict, num_classes: int | None) -> None:
    split = dataset.get('split')
    listed = root / (dataset.get('ann_file') or f'meta/{split}.txt')
    if listed.is_file():
        return _check_lines(listed, num_classes)
    if split:
        return _check_class_folders(root, split, num_classes)
    prefix = dataset.get('data_prefix') or ''
    folder = root / (prefix if isinstance(prefix, str) else prefix.get('img_path', ''))
    classes = sorted(path.name for path in folder.iterdir() if path.is_dir())  # hidden ones count too
    if num_classes not in (None, len(classes)):
        raise UsageError(f'{folder} has {len(classes)} folders of classes, the model has {num_classes} classes\n'
                         f'  found: {shown(classes, total=True)}\n'
                         '  remove what is no class, or set metainfo.classes and num_classes')


def _check_lines(file: Path, num_classes: int | None) -> None:
    most = num_classes or float('inf')
    for number, line in enumerate(file.read_text(encoding='utf-8', errors='replace').splitlines(), start=1):
        name, _, label = line.strip().rpartition(' ')
        if not (name and label.isdecimal() and int(label) < most):
            raise UsageError(f'{file}, line {number}: {line[:100]!r} is not a file and the number of its class'
                             + (f', 0 to {num_classes - 1}' if num_classes else ''))


def _check_links(folders: list[Path]) -> None:
    """The frameworks list the files of a folder: they pass over a link to nothing, and follow one upwards many times."""
    broken = [link for folder in folders for link in _broken_links(folder)]
    if broken:
        raise FileNotFoundError(f'{len(broken)} links lead to files that are missing, or to a folder that holds them: '
                                f'{shown(broken)}\n  put the files there, or remove the links')


def _broken_links(folder: Path | str) -> Iterator[str]:
    for entry in os.scandir(folder):
        if entry.is_symlink():
            link = Path(entry.path)
            if not link.exists() or link.parent.resolve().is_relative_to(link.resolve()):
                yield entry.path
        elif entry.is_dir():
            yield from _broken_links(entry.path)


def _check_class_folders(root: Path, split: str, num_classes: int) -> None:
    """mmpretrain numbers the classes by their folders in order: with one missing, all behind it would be wrong."""
    folders = {part.name: {path.name for path in part.iterdir() if path.is_dir()}
               for part in (root / 'train', root / 'val') if part.is_dir()}
    found = folders[split]
    if len(found) != num_classes:
        missing = sorted(set.union(*folders.values()) - found)
        raise FileNotFoundError(
            f'{root / split} has {len(found)} folders of classes, the model has {num_classes} classes\n'
            + (f'  missing: {shown(missing)}\n' if missing else '')
            + f'  put the images of each class into a folder of {root / split}, or list them in '
            f'{root / "meta" / split}.txt, a file below {root / split} and the number of its class in each line')
