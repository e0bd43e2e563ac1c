"""Checks before the start: what would fail after minutes should fail at once, and say what to do."""
import inspect
from collections.abc import Sized
from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmengine.dist import get_world_size
from mmengine.registry import DATASETS
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import BatchSampler, DataLoader

from .check_coco import check_coco, check_evaluators
from .check_folders import IMAGES, check_classes, check_images, check_pairs, class_folders, list_folder
from .check_leaks import Images, check_leaks, check_repeats, warn_of_trained
from .check_lists import check_labelled, check_names
from .cli import UsageError
from .mini import LOADERS, data_sets, type_name

_CLASSIFIED = ('ImageNet', 'CustomDataset')
_VOC_AUG = ('SegmentationClassAug', 'ImageSets/Segmentation/aug.txt')


def check_data(cfg: Config, loaders: tuple[str, ...]) -> None:
    """Check that the folders and files of the data sets exist, and the files that a list names; that there are images, in
    segmentation each with its mask; that those in COCO's format fit the config and the evaluators; that class folders
    are those of the model and of the other data sets, no link is broken, and each line of a list is understood; that
    no image of the validation is trained on; and that a classifier's numbers of classes agree.

    Args:
        cfg: The config of the run.
        loaders: Which of its loaders the run needs, for instance ``('train_dataloader', 'val_dataloader')``.

    Raises:
        FileNotFoundError: Something is missing; the message names it, the layout expected and the remedies.
        UsageError: A data set is there but not as it must be; the message names the file or folder and the remedy.
    """
    _check_num_classes(cfg)
    images = {loader: [_check_data_set(cfg, loader, key, dataset) for key, dataset in data_sets(cfg.get(loader)).items()]
              for loader in loaders}
    known = {loader: [*filter(None, found)] for loader, found in images.items()}
    check_repeats(known.get('train_dataloader', []))
    check_leaks(known.get('train_dataloader', []), known.get('val_dataloader', []))
    if 'test_dataloader' in loaders:
        warn_of_trained(*([_source(dataset) for dataset in data_sets(cfg.get(loader)).values()]
                          for loader in ('train_dataloader', 'test_dataloader')))


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


def _check_data_set(cfg: Config, loader: str, key: str, dataset: ConfigDict) -> Images | None:
    """Its images; None if the data set is of a type whose format is not known here."""
    _check_present(cfg, loader, key, dataset)
    name, (folder, source) = f'{loader}.{key}', _source(dataset)
    kind = _kind(cfg, dataset)
    if (dataset.get('ann_file') or '').endswith('.json'):
        if not hasattr(kind, 'COCOAPI'):  # mmdet's, and what is derived from it; mmpretrain has a json format of its own
            return None
        found = check_coco(name, dataset, (kind.METAINFO | (dataset.get('metainfo') or {}))['classes'],
                           cfg.model.get('bbox_head', {}).get('num_classes'))
        check_evaluators(cfg, loader, source, found)
        names = list(found.values())
    elif getattr(getattr(kind, 'load_data_list', None), '__qualname__', '') == 'BaseSegDataset.load_data_list':
        names = _check_segmented(name, kind, dataset)
    elif _is_classified(dataset):
        names = _check_classified(cfg, name, dataset)
    else:
        if source == folder and folder.is_dir():
            list_folder(folder).check_links()
        return None
    return Images(folder, names, source, subset='indices' in dataset)


def _kind(cfg: Config, dataset: ConfigDict) -> type | None:
    if isinstance(dataset.type, type):
        return dataset.type
    with DATASETS.switch_scope_and_registry(cfg.get('default_scope')) as registry:
        return registry.get(dataset.type)


def _source(dataset: ConfigDict) -> tuple[Path, Path]:
    """The folder of the images of a data set, and the list or json that names them, or again the folder."""
    root, prefix, split = Path(dataset.get('data_root') or '.'), dataset.get('data_prefix') or {}, dataset.get('split')
    below = prefix if isinstance(prefix, str) else prefix.get('img_path') or prefix.get('img') or ''
    folder = root / (below or split or '')
    listed = root / (dataset.get('ann_file') or f'meta/{split}.txt')
    return folder, listed if dataset.get('ann_file') or split and listed.is_file() else folder


def _check_present(cfg: Config, loader: str, key: str, dataset: ConfigDict) -> None:
    root = Path(dataset.get('data_root') or '.')
    prefix = dataset.get('data_prefix') or {}  # mmpretrain also takes a single folder
    folders = [prefix] if isinstance(prefix, str) else [*prefix.values()]
    split = dataset.get('split')
    parts = [*filter(None, [*folders, dataset.get('ann_file'), split])]
    missing = [part for part in parts if not (root / part).exists()]
    if not missing:
        return
    evaluator = loader.replace('dataloader', 'evaluator')
    keys = [f'{loader}.{key}.data_root=...'] + [f'{evaluator}.ann_file=...'] * ('ann_file' in (cfg.get(evaluator) or {}))
    layout = (f'{split}/CLASS/*.JPEG, or images below {split}/ and meta/{split}.txt' if type_name(dataset) == 'ImageNet'
              and split else ', '.join(parts))
    raise FileNotFoundError('\n  '.join(filter(None, [
        f'{loader}: {dataset.type} not found in {root}', f'missing: {", ".join(missing)}',
        f'expected layout of {root}: {layout}', _too_deep(root, parts, f'{loader}.{key}'), _without_sbd(missing),
        f'put or link the data there, name another folder with --cfg-options {" ".join(keys)}, or try it without data: '
        '--mini'])))


def _too_deep(root: Path, parts: list[str], name: str) -> str:
    folders = [path for path in (root.iterdir() if root.is_dir() else []) if all((path / part).exists() for part in parts)]
    return f'they are one level too deep, in {folders[0]}: set {name}.data_root to it' if folders else ''


def _without_sbd(missing: list[str]) -> str:
    if not set(missing) & set(_VOC_AUG):
        return ''
    return ("the extra annotations (SBD) are made by mmsegmentation's tools/dataset_converters/voc_aug.py: "
            'docs/segmentation.md')


def _check_segmented(name: str, kind: type, dataset: ConfigDict) -> list[str]:
    folder, source = _source(dataset)
    masks = (dataset.get('data_prefix') or {}).get('seg_map_path')
    masks = Path(dataset.get('data_root') or '.') / masks if masks else None
    suffixes = tuple(dataset.get(key) or _default(kind, key) for key in ('img_suffix', 'seg_map_suffix'))
    if source != folder:
        return check_names(name, source, (folder, masks), suffixes)
    return check_pairs(name, folder, masks, suffixes)


def _default(kind: type, argument: str) -> str:
    """The default of an argument of a class, which may hand it on to the one that it is derived from."""
    signatures = (inspect.signature(part.__init__).parameters for part in kind.__mro__)
    return next(found[argument].default for found in signatures if argument in found)


def _is_classified(dataset: ConfigDict) -> bool:
    return type_name(dataset) in _CLASSIFIED and dataset.get('with_label', dataset.get('split') != 'test')


def _check_classified(cfg: Config, name: str, dataset: ConfigDict) -> list[str]:
    num_classes = cfg.model.get('head', {}).get('num_classes')
    folder, source = _source(dataset)
    if source != folder:
        return check_labelled(source, folder, num_classes)
    others, split = _class_folders(cfg, dataset), dataset.get('split')
    remedy = (f'put the images of each class into a folder of {folder}, or list them in '
              f'{folder.parent / "meta" / split}.txt, a file below {folder} and the number of its class in each line'
              if split else 'remove what is no class, or set metainfo.classes and num_classes')
    check_classes(folder, others, num_classes, remedy,
                  synsets=type_name(dataset) == 'ImageNet' and 'classes' not in (dataset.get('metainfo') or {}))
    extensions = tuple(part.lower() for part in dataset.get('extensions') or IMAGES)
    return check_images(name, folder, extensions)


def _class_folders(cfg: Config, dataset: ConfigDict) -> dict[Path, set[str]]:
    """Folder -> class folders, of all data sets of a config without lists, and of those beside one of ImageNet."""
    parts = [part for loader in LOADERS for part in data_sets(cfg.get(loader)).values() if _is_classified(part)]
    if dataset.get('split'):
        parts += [ConfigDict(dataset, split=split) for split in ('train', 'val')]
    sources = dict.fromkeys(map(_source, parts))
    return {folder: class_folders(folder) for folder, source in sources if source == folder and folder.is_dir()}
