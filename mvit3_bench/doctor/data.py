"""Are the data sets there, whole, and readable?"""
import itertools
import logging
import os
import shutil
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from mmengine.config import ConfigDict
from mmengine.runner import Runner

from ..datasets.checks.data import check_data
from ..datasets.checks.leaks import Images, check_leaks
from ..datasets.configs import LOADERS, data_sets
from ..datasets.mini import FOLDERS
from ..engine.hooks.check_labels import check_labels
from ..engine.hooks.check_samples import check_samples, limits_of
from ..errors import BenchError, UsageError
from ..registry import type_name
from .finding import ERROR, INFO, OK, WARNING, Finding, explained
from .plan import Plan, listening

_finding = partial(Finding, 'data')
_IMAGES = ('.jpg', '.jpeg', '.png', '.bmp')
_PREFETCHED = 2  # batches that a worker holds ready
_SHARED = Path('/dev/shm')  # where workers hand batches over; containers begin with 64 MB
# class of the data set -> its folder in data/, and what it holds, as published: images of a folder or lines of a list
_PUBLISHED = dict(
    ImageNet=('imagenet', {'train': 1_281_167, 'val': 50_000}),
    CocoDataset=('coco', {'train2017': 118_287, 'val2017': 5_000}),
    ADE20KDataset=('ade20k', {'images/training': 20_210, 'images/validation': 2_000}),
    # 10,582 for training, by mmsegmentation's two lists
    PascalVOCDataset=('voc2012', {'ImageSets/Segmentation/train.txt': 1_464, 'ImageSets/Segmentation/aug.txt': 9_118,
                                  'ImageSets/Segmentation/val.txt': 1_449}))
_EXAMPLES = ('imagenette*', 'bccd', 'camvid')  # of the configs for one's own data


def examine_roots(root: Path = Path('data')) -> Iterator[Finding]:
    """The standard places of data sets: what is there, and whether as much as published."""
    for folder, parts in _PUBLISHED.values():
        place = root / FOLDERS[folder]
        if not place.is_dir():
            yield _finding(str(place), INFO, 'absent', 'only for its own configs; all of them run without it: --mini')
            continue
        counts = {part: _count(place / part) for part in parts}
        yield _counted(str(place), counts, parts)
    for pattern in _EXAMPLES:
        for place in sorted(root.glob(pattern)) or [root / pattern]:
            yield (_finding(str(place), OK, f'images: {_count(place)}') if place.is_dir() else
                   _finding(str(place), INFO, 'absent', 'only for its own configs'))


def _count(path: Path) -> int:
    """Images in and below a folder, or lines of a list; nothing is 0."""
    if path.is_dir():
        return sum(file.lower().endswith(_IMAGES) for _, _, files in os.walk(path) for file in files)
    return sum(1 for line in path.read_text(encoding='utf-8').splitlines() if line.strip()) if path.is_file() else 0


def _counted(name: str, counts: dict[str, int], published: dict[str, int]) -> Finding:
    words = ', '.join(f'{part}: {count:,}' for part, count in counts.items())
    wrong = [f'{part} has {counts[part]:,} of {published[part]:,} ({counts[part] - published[part]:+,})'
             for part in counts if counts[part] != published[part]]
    if not wrong:
        return _finding(name, OK, words + ', as published')
    return _finding(name, WARNING, 'not as published: ' + '; '.join(wrong),
                    'unpack it again; with a subset of your own, results are not comparable with published ones')


def examine_data(plan: Plan, mini: bool) -> Iterator[Finding]:
    """The data sets of a run: layout, numbers as published, and a few samples through the pipeline.

    Args:
        plan: The run; gets its loaders.
        mini: Whether it runs on miniature data.
    """
    seen, images = set(), {}
    for name in LOADERS:
        if plan.cfg.get(name) is None:
            continue
        if name == 'test_dataloader' and plan.cfg[name] == plan.cfg.get('val_dataloader'):
            yield _finding(name, OK, 'the same as val_dataloader')
            continue
        for each in _examine_loader(plan, name, mini, images):
            if (each.level, each.found) not in seen or each.level == OK:
                yield each
            seen.add((each.level, each.found))
    yield from _leaks(plan, images)


def _leaks(plan: Plan, images: dict[str, list[Images]]) -> Iterator[Finding]:
    """Images of the validation in the training, where each of the two is well by itself."""
    both = 'train_dataloader', 'val_dataloader'
    if not set(both) <= plan.loaders.keys():
        return
    with listening():
        try:
            check_leaks(*(images[name] for name in both))
        except UsageError as error:
            yield _finding(both[1], ERROR, *_parts(error))


def _parts(error: Exception) -> tuple[str, str]:
    """What an error found, and how to fix it."""
    return (error.found, error.fix) if isinstance(error, BenchError) else (str(error), '')


def _examine_loader(plan: Plan, name: str, mini: bool, images: dict[str, list[Images]]) -> Iterator[Finding]:
    with listening() as records:
        try:
            images.update(check_data(plan.cfg, (name,)))
            plan.loaders[name] = loader = _build(plan.cfg[name])
            if (plan.cfg.get('default_hooks') or {}).get('samples'):
                check_samples(loader.dataset, **limits_of(plan.cfg))  # as this hook does at the start of a run
            problem = None
        except (BenchError, FileNotFoundError) as error:
            problem = _finding(name, ERROR, *_parts(error))
        except Exception as error:  # a data set fails as it likes
            problem = _finding(name, ERROR, f'cannot be built: {type(error).__name__}: {error}', f'correct {name}')
    yield from (_finding(name, WARNING, *explained(record.getMessage())) for record in records
                if record.levelno >= logging.WARNING)
    if problem:
        yield problem
        return
    if not mini:
        yield from filter(None, map(_as_published, data_sets(plan.cfg[name]).values()))
    if not len(loader.dataset):
        yield _finding(name, ERROR, 'there is no sample', f'correct the folders or lists of {name}.dataset')
        return
    yield from _samples(plan, name, loader)


def _build(config: ConfigDict) -> torch.utils.data.DataLoader:
    """A loader of one process without workers."""
    config = ConfigDict({key: value for key, value in config.items() if key not in ('prefetch_factor', 'num_workers')},
                        num_workers=0, persistent_workers=False)
    return Runner.build_dataloader(config, seed=0)


def _as_published(dataset: ConfigDict) -> Finding | None:
    if type_name(dataset) not in _PUBLISHED or 'metainfo' in dataset:
        return None
    _, published = _PUBLISHED[type_name(dataset)]
    root, prefix = Path(dataset.get('data_root') or '.'), dataset.get('data_prefix') or {}
    named = {dataset.get('split'), dataset.get('ann_file'), *([prefix] if isinstance(prefix, str) else prefix.values())}
    counts = {part: _count(root / part) for part in published if part in named}
    return _counted(str(root), counts, published) if counts else None


def _samples(plan: Plan, name: str, loader: torch.utils.data.DataLoader) -> Iterator[Finding]:
    """Decode and transform a few samples, evenly spaced in the order of the loader."""
    dataset, broken, sizes = loader.dataset, [], []
    order = itertools.chain.from_iterable(loader.batch_sampler)
    step = max(1, len(dataset) // plan.samples)
    indices = list(itertools.islice(order, 0, plan.samples * step, step))  # an infinite sampler goes on
    start = time.perf_counter()
    with listening() as records:
        for index in indices:
            try:
                sample = dataset[index]
                if classes := dataset.metainfo.get('classes'):
                    check_labels([sample['data_samples']], len(classes))
                sizes.append(_bytes(sample))
            except Exception as error:  # decoders and transforms raise whatever they like
                file = dataset.get_data_info(int(index)).get('img_path', f'sample {int(index)}')
                known = isinstance(error, BenchError) or file in str(error)
                broken.append(_parts(error) if known else (f'{file}: {type(error).__name__}: {error}', ''))
    yield from (_finding(name, WARNING, record.getMessage()) for record in records if record.levelno >= logging.WARNING)
    for found, fix in broken:
        yield _finding(name, ERROR, found, fix or 'repair or remove the file, or correct the pipeline')
    if not sizes:
        return
    duration = (time.perf_counter() - start) / len(indices)
    yield _finding(name, OK, f'{len(dataset):,} samples; {len(sizes)} of {len(indices)} tried went through the pipeline, '
                             f'{1e3 * duration:.0f} ms each')
    workers = plan.cfg[name].get('num_workers', 0) * plan.processes
    batch = plan.cfg[name].get('batch_size', 1)
    needed = max(sizes) * batch * workers * (plan.cfg[name].get('prefetch_factor') or _PREFETCHED)
    if _SHARED.is_dir() and needed > (free := shutil.disk_usage(_SHARED).free):
        yield _finding(name, WARNING, f'{workers} workers hold up to {needed / 1e9:.2f} GB of batches in {_SHARED}, which '
                                      f'has {free / 1e9:.2f} GB free',
                       f'docker run --shm-size=8g, or a smaller {name}.num_workers or batch_size')


def _bytes(sample: dict) -> int:
    inputs = sample['inputs']
    return inputs.nbytes if isinstance(inputs, torch.Tensor) else 0
