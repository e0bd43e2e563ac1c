"""Where the data sets of a config take their images from, for the formats known here, and whether that is there."""
import os
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log
from mmengine.registry import DATASETS

from ...errors import MissingFileError, UsageError, user_errors
from ...registry import type_name
from ..configs import data_sets
from ..lists import read_list

# format -> the class whose methods read it; a derived class that overrides the method may read another
_FORMATS = dict(coco=('mmdet.datasets.coco.CocoDataset', ('load_data_list', 'parse_data_info')),
                masks=('mmseg.datasets.basesegdataset.BaseSegDataset', ('load_data_list',)),
                classes=('mmpretrain.datasets.custom.CustomDataset', ('load_data_list',)))
_SPLIT_IS_FOLDER = ('ImageNet', 'ImageNet21k')  # if there is no data_prefix
_VOC_AUG = ('SegmentationClassAug', 'ImageSets/Segmentation/aug.txt')


@dataclass(frozen=True)
class Source:
    """Where a data set takes its images from.

    Args:
        name: Its key in the config.
        format: ``'coco'``, ``'masks'`` or ``'classes'``.
        dataset: The data set, built but without its samples.
        folder: The folder of its images.
        file: The list or json that names them, or again the folder.
        subset: Whether the config takes some of the images only.
    """
    name: str
    format: str
    dataset: BaseDataset
    folder: Path
    file: Path
    subset: bool

    @property
    def listed(self) -> bool:
        """Whether a list or json names the images."""
        return self.file != self.folder


def find_source(cfg: Config, loader: str, key: str, dataset: ConfigDict) -> Source | None:
    """The source of a data set; None if its format is not known, if it is not on this machine, or cannot be built.

    Args:
        cfg: The config.
        loader: The loader.
        key: Key of the data set below it.
        dataset: The data set.

    Raises:
        UsageError: A data set in COCO's format names no image folder, or ``ann_file`` is a folder.
    """
    kind = _kind(cfg, dataset)
    if is_remote(dataset) or not (known := _format(kind)):
        return None
    listed = Path(dataset.get('data_root') or '.', dataset.get('ann_file') or '')
    if dataset.get('ann_file') and listed.is_dir():  # some types assert that it is not, without a word
        with user_errors(ValueError):
            read_list(listed)
    try:
        with DATASETS.switch_scope_and_registry(cfg.get('default_scope')) as registry:
            built = registry.build(dict(dataset, lazy_init=True, pipeline=[]))
    except Exception:  # it fails again, with its own message, when the loader is built
        return None
    prefix = built.data_prefix.get('img' if known == 'coco' else 'img_path')
    if known == 'coco' and prefix is None:
        raise UsageError(f'{loader}.{key}: {type_name(dataset)} needs the folder of its images', f'{loader}.{key}',
                         f'set {loader}.{key}.data_prefix.img', ': ')
    if prefix is None or not Path(prefix).is_dir():
        return None
    folder = Path(prefix)
    return Source(f'{loader}.{key}', known, built, folder, Path(built.ann_file) if built.ann_file else folder,
                  _is_subset(cfg[loader], key))


def find_sources(cfg: Config, loader: str) -> list[Source]:
    """The sources of a loader's data sets, as far as they are known."""
    found = (find_source(cfg, loader, key, dataset) for key, dataset in data_sets(cfg.get(loader)).items())
    return [*filter(None, found)]


def is_remote(dataset: ConfigDict) -> bool:
    """Whether a data set is read from somewhere else than this machine's file system."""
    prefix, backend = dataset.get('data_prefix') or {}, dataset.get('backend_args') or {}
    paths = [dataset.get('data_root'), dataset.get('ann_file'), *([prefix] if isinstance(prefix, str) else prefix.values())]
    return backend.get('backend', 'local') != 'local' or any('://' in str(path) for path in paths)


def check_present(cfg: Config, loader: str, key: str, dataset: ConfigDict) -> None:
    """Check that the folders and files that a data set names are there; that of a remote one is not looked for.

    Raises:
        FileNotFoundError: One is missing; the message names it, the layout expected and the fixes.
    """
    if is_remote(dataset):
        print_log(f'{loader}.{key}: the data are not on this machine, and are not checked before the start',
                  logger='current')
        return
    kind = _kind(cfg, dataset)
    if getattr(getattr(kind, '_join_prefix', None), '__qualname__', '') != 'BaseDataset._join_prefix':
        return  # what its paths are relative to is not known
    root, parts = Path(dataset.get('data_root') or '.'), _parts(dataset)
    missing = [part for part in parts if not (root / os.path.expanduser(part)).exists()]
    if not parts and _format(kind) and not root.exists():
        missing = [str(root)]
    if not missing:
        return
    evaluator = loader.replace('dataloader', 'evaluator')
    keys = [f'{loader}.{key}.data_root=...'] + [f'{evaluator}.ann_file=...'] * ('ann_file' in (cfg.get(evaluator) or {}))
    split = dataset.get('split')
    layout = (f'{split}/CLASS/*.JPEG, or images below {split}/ and meta/{split}.txt' if split in parts else
              ', '.join(parts) or ('CLASS/*.jpg' if _format(kind) == 'classes' else '*.jpg'))
    raise MissingFileError('\n  '.join(filter(None, [
        f'{loader}: {type_name(dataset)} not found in {root}', f'missing: {", ".join(missing)}',
        f'expected layout of {root}: {layout}', _too_deep(root, parts, f'{loader}.{key}'),
        _without_sbd(root, missing)])), root,
        f'put or link the data there, name another folder with --cfg-options {" ".join(keys)}, or try it without data: '
        '--mini', '\n  ')


def _kind(cfg: Config, dataset: ConfigDict) -> type | None:
    if not isinstance(dataset.get('type'), str):
        return dataset.get('type')
    with DATASETS.switch_scope_and_registry(cfg.get('default_scope')) as registry:
        return registry.get(dataset.type)


def _format(kind: type | None) -> str | None:
    for name, (owner, methods) in _FORMATS.items():
        found = [getattr(kind, method, None) for method in methods]
        if all(method and f'{method.__module__}.{method.__qualname__}' == f'{owner}.{key}'
               for method, key in zip(found, methods, strict=True)):
            return name
    return None


def _is_subset(loader: ConfigDict, key: str) -> bool:
    """Whether a data set, or what wraps it, takes some of the images only."""
    part = loader
    for step in key.split('.'):
        part = part[int(step)] if isinstance(part, (list, tuple)) else part[step]
        if isinstance(part, dict) and (part.get('indices') is not None or type_name(part) == 'KFoldDataset'):
            return True
    return False


def _parts(dataset: ConfigDict) -> list[str]:
    """What a data set names below its root."""
    prefix = dataset.get('data_prefix') or {}  # mmpretrain also takes a single folder
    parts = [*([prefix] if isinstance(prefix, str) else prefix.values()), dataset.get('ann_file')]
    if type_name(dataset) in _SPLIT_IS_FOLDER and not prefix:
        parts.append(dataset.get('split'))
    return [part for part in parts if part and isinstance(part, str)]


def _too_deep(root: Path, parts: list[str], name: str) -> str:
    folders = [path for path in (root.iterdir() if parts and root.is_dir() else [])
               if all((path / part).exists() for part in parts)]
    return f'they are one level too deep, in {folders[0]}: set {name}.data_root to it' if folders else ''


def _without_sbd(root: Path, missing: list[str]) -> str:
    if not set(missing) & set(_VOC_AUG):
        return ''
    both = root / Path(_VOC_AUG[1]).with_name('trainaug.txt')
    if missing == [_VOC_AUG[1]] and both.is_file():
        return (f'{both} names the images of train.txt, too: write its other lines to aug.txt, in that folder: '
                'grep -vxFf train.txt trainaug.txt > aug.txt')
    return ("the extra annotations (SBD) are made by mmsegmentation's tools/dataset_converters/voc_aug.py: "
            'docs/segmentation.md')
