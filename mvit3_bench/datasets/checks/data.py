"""Checks before the start: what would fail after minutes should fail at once, and say what to do."""
from collections.abc import Sized
from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmengine.dist import get_world_size
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import BatchSampler, DataLoader

from ...errors import UsageError
from ...registry import type_name
from ..configs import LOADERS, data_sets
from .coco import check_boxes, check_coco, check_evaluators, is_scored
from .folders import check_class_names, check_classes, check_images, check_pairs, class_folders, list_folder
from .leaks import Images, check_leaks, check_repeats, warn_of_trained
from .lists import check_labelled, check_names
from .settings import check_class_list, check_settings, model_part
from .sources import Source, check_present, find_source, find_sources


def check_data(cfg: Config, loaders: tuple[str, ...]) -> dict[str, list[Images]]:
    """Check that the folders and files of the data sets exist, and the files that a list names; that there are images, in
    segmentation each with its mask; that those in COCO's format fit the config and the evaluators; that class folders
    are those of the model and of the other data sets, no link is broken, and each line of a list is understood; that
    no image of the validation is trained on; and that a classifier's numbers of classes agree. Data sets of types whose
    format is not known here, and those that are not on this machine, are passed over.

    Args:
        cfg: The config of the run.
        loaders: Which of its loaders the run needs, for instance ``('train_dataloader', 'val_dataloader')``.

    Returns:
        Loader -> the images of each of its data sets whose format is known.

    Raises:
        FileNotFoundError: Something is missing; the message names it, the layout expected and the fixes.
        UsageError: A data set is there but wrong; the message names the file or folder and the fix.
    """
    check_settings(cfg)
    known = {loader: _check_loader(cfg, loader) for loader in loaders}
    check_repeats(known.get('train_dataloader', []))
    check_leaks(known.get('train_dataloader', []), known.get('val_dataloader', []))
    if 'test_dataloader' in loaders:
        warn_of_trained(find_sources(cfg, 'train_dataloader'), find_sources(cfg, 'test_dataloader'))
    return known


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
    if isinstance(batches, Sized) and not len(batches):
        raise UsageError(f'train_dataloader: no batch in an epoch: {len(loader.dataset)} images, batches of '
                         f'{getattr(batches, "batch_size", "?")}, drop_last=True', 'train_dataloader',
                         'take smaller batches, or drop_last=False')
    if type(batches) is not BatchSampler or batches.drop_last or not isinstance(batches.sampler, Sized):
        return
    if get_world_size() > 1 and cfg.get('sync_bn'):  # the norm has the values of the other processes
        return
    images, size = len(batches.sampler), batches.batch_size
    pooled = [name for name, part in model.named_modules() if isinstance(part, nn.Sequential) and len(part)
              and isinstance(part[0], nn.AdaptiveAvgPool2d) and part[0].output_size in (1, (1, 1))
              and any(isinstance(inner, _BatchNorm) for inner in part.modules())]
    if pooled and (images % size or size) == 1:
        fix = 'train_dataloader.batch_size to 2 or more' if size == 1 else 'train_dataloader.drop_last=True'
        if images == 1:
            fix = 'train_dataloader.dataset to a data set of two images or more'
        raise UsageError('train_dataloader: the last batch of an epoch is one image '
                         f'({images} images in batches of {size}), with which the batch norm over 1x1 in {pooled[0]} cannot '
                         'train', 'train_dataloader', f'set {fix}', ': ')


def _check_loader(cfg: Config, loader: str) -> list[Images]:
    """The images of each data set whose format is known."""
    found, jsons, parts, scored = [], [], data_sets(cfg.get(loader)), is_scored(cfg, loader)
    for key, dataset in parts.items():
        check_class_list(f'{loader}.{key}', dataset)
        check_present(cfg, loader, key, dataset)
        source = find_source(cfg, loader, key, dataset)
        if source is None:
            continue
        if source.format == 'coco':
            if not source.listed:
                continue
            jsons.append(check_coco(source, model_part(cfg, 'bbox_head').get('num_classes'), scored))
            names = list(jsons[-1].images.values())
        elif source.format == 'masks':
            names = _check_segmented(source)
        elif source.dataset.with_label:
            names = _check_classified(cfg, source, dataset)
        else:
            if not source.listed:
                list_folder(source.folder).check_links()
            continue
        found.append(Images(source, names))
    if jsons and len(jsons) == len(parts):
        check_boxes(loader, jsons, scored)
        check_evaluators(cfg, loader, jsons)
    return found


def _check_segmented(source: Source) -> list[str]:
    dataset = source.dataset
    masks = dataset.data_prefix.get('seg_map_path')
    # an empty prefix, which is the default, says nothing of masks
    masks = Path(masks) if masks and Path(masks) != Path(dataset.data_root or '.') else None
    suffixes = dataset.img_suffix, dataset.seg_map_suffix
    if source.listed:
        return check_names(source.name, source.file, (source.folder, masks), suffixes)
    return check_pairs(source.name, source.folder, masks, suffixes)


def _check_classified(cfg: Config, source: Source, dataset: ConfigDict) -> list[str]:
    num_classes, folder, split = model_part(cfg, 'head').get('num_classes'), source.folder, dataset.get('split')
    if source.listed:
        return check_labelled(source.file, folder, num_classes)
    fix = (f'put the images of each class into a folder of {folder}, or list them in '
              f'{folder.parent / "meta" / split}.txt, a file below {folder} and the number of its class in each line'
              if split else 'remove what is no class, or set metainfo.classes and num_classes')
    names = (dataset.get('metainfo') or {}).get('classes')
    check_classes(folder, _class_folders(cfg, source, dataset), num_classes, fix,
                  synsets=type_name(dataset) == 'ImageNet' and names is None)
    check_class_names(source.name, folder, source.dataset.metainfo.get('classes') if names else None)
    return check_images(source.name, folder, tuple(sorted(source.dataset.extensions)))


def _class_folders(cfg: Config, source: Source, dataset: ConfigDict) -> dict[Path, set[str]]:
    """Folder -> class folders, of all data sets of a config without lists, and of those beside one of ImageNet.

    The latter may also have no class folder: nobody reads them.
    """
    read = [part for loader in LOADERS for part in find_sources(cfg, loader)]
    loader, _, key = source.name.partition('.')
    beside = [find_source(cfg, loader, key, ConfigDict(dataset, split=split))
              for split in ('train', 'val') if dataset.get('split')]
    folders = {part.folder: class_folders(part.folder) for part in filter(None, [*read, *beside])
               if part.format == 'classes' and part.dataset.with_label and not part.listed}
    return {folder: names for folder, names in folders.items() if names or folder in [part.folder for part in read]}
