"""Corrupted inputs through the real pipelines of the three tasks: right labels, or a refusal that names the file."""
import functools
import gc
import itertools
import logging
import os
import shutil
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from mvit3_bench.datasets.checks.data import check_data
from mvit3_bench.engine.hooks.check_labels import check_labels
from mvit3_bench.engine.hooks.check_samples import check_samples
from mvit3_bench.errors import UnreadableSample, UsageError

from . import Fault
from .corruptions import IMAGES, MASKS, Corrupted, encode
from .dataset_corruptions import FOLDERS, JSONS, make_unreadable
from .isolated import Isolated
from .tasks import NAME, TASKS, Detection, Sample, config_of

TIMEOUT, MEMORY = 60, 3 * 2**29  # seconds, bytes: Pillow's limit is 179 million pixels, of 4 bytes in its own form
PIXELS = 8  # mean difference of 8-bit values that lossy formats may make

FILES = {'missing image': lambda path, image: path.unlink(),
         'unreadable image': lambda path, image: (path.unlink(), make_unreadable(path, image)),
         'named pipe as image': lambda path, image: (path.unlink(), os.mkfifo(path)),
         'folder as image': lambda path, image: (path.unlink(), path.mkdir())}


@dataclass(frozen=True)
class Case:
    """A damage, and all that chance decides about it."""
    task: str
    table: str
    damage: str
    seed: int
    workers: int


@dataclass
class Trial:
    """A damaged data set, and what must come of it."""
    cfg: Config
    labels: dict[str, object]  # of each image, by the name of its file without suffix
    named: tuple[str, ...]  # what a refusal must name, one of them
    refused: bool | None = False  # None: either
    seen: object = None  # what the damaged image shows
    log: str = ''  # what the log must say


def kinds() -> list[tuple[str, str, str]]:
    """Every damage: task, table, name."""
    return [*(('segmentation', 'masks', name) for name in MASKS), *(('detection', 'jsons', name) for name in JSONS),
            *(('classification', 'folders', name) for name in FOLDERS), ('segmentation', 'files', 'missing mask'),
            *((task, 'files', name) for task in ('classification', 'detection') for name in FILES),
            ('segmentation', 'files', 'unreadable image'),
            *((task, 'frames', 'labels of the image as stored') for task in ('detection', 'segmentation')),
            *itertools.product(TASKS, ['images'], IMAGES)]


def faults(folder: Path, count: int, seed: int) -> Iterator[Fault]:
    """Damage so many inputs, one after the other, and pass each through the training and the testing pipeline.

    An input is a data set of three images of which one, or what describes it, is damaged. The images are drawn, or real
    where ``MVIT3_REAL_DATA`` names a folder with the sample sets.

    Args:
        folder: An empty folder to work in.
        count: How many inputs; each kind of damage comes in turn, with 0 and 2 worker processes.
        seed: Of all that chance decides.
    """
    table = kinds()
    with Isolated(examine, TIMEOUT, MEMORY) as isolated:
        for number in range(count):
            task, group, damage = table[number % len(table)]
            turn = number // len(table)
            case = Case(task, group, damage, seed + number, workers=2 * ((number + turn) % 2))
            done, result = isolated(case, folder)
            survived, detail = result if done else (False, result)
            yield Fault(f'{damage}, {task}', f'seed {case.seed}, {case.workers} workers', 'survived' if survived else 'lost',
                        detail)


def examine(case: Case, folder: Path) -> tuple[bool, str]:
    """Pass one damaged input through both pipelines: whether the promise held, and what was seen."""
    for handler in MMLogger.get_current_instance().handlers:
        handler.setLevel(logging.CRITICAL)  # a thousand refusals are no news on the screen
    root = folder / 'input'
    shutil.rmtree(root, ignore_errors=True)
    trial = globals()[f'_{case.table}'](case, root, folder / 'intact', np.random.default_rng(case.seed))
    seen = {split: _outcome(case, trial, split) for split in ('train', 'val')}
    _freeze(case.task)
    lost = [f'{split}: {text}' for split, (right, text) in seen.items() if not right]
    return not lost, '; '.join(lost) or '; '.join(dict.fromkeys(text for _, text in seen.values()))


@functools.cache
def _freeze(task: str) -> None:
    """Spare the collector what the frameworks have made once: MMEngine calls it for each data set, at 0.3 s a time."""
    gc.freeze()


@functools.cache
def _samples(task: str, folder: Path) -> list[Sample]:
    samples = TASKS[task].samples(folder)
    return [replace(sample, name=name) for sample, name in zip(samples, (NAME, 'second', 'third'), strict=True)]


def _write(case: Case, root: Path, first: Sample, content: bytes, intact: Path, rng) -> Trial:
    """A data set whose first image is in this file."""
    task, others = TASKS[case.task], _samples(case.task, intact)[1:]
    task.write(root, [first, *others], [content, *(encode(sample.image) for sample in others)])
    cfg = config_of(str(rng.choice(task.configs)), root, case.workers)
    return Trial(cfg, {sample.name: sample.labels for sample in (first, *others)}, named=(NAME,))


def _images(case: Case, root: Path, intact: Path, rng) -> Trial:
    first = _samples(case.task, intact)[0]
    damaged = IMAGES[case.damage](first.image, rng)
    if damaged.seen is not None and damaged.seen.size != first.image.size:
        first = replace(first, image=damaged.seen, labels=TASKS[case.task].fitting(damaged.seen.size))
    trial = _write(case, root, first, damaged.content, intact, rng)
    if case.task == 'segmentation' and case.damage == '1x1':  # mmsegmentation makes its mask a number and cannot use it
        return replace(trial, refused=True)
    by_opencv = trial.cfg.val_dataloader.dataset.pipeline[0].get('imdecode_backend') == 'cv2'
    seen = damaged.seen_by_opencv if by_opencv and damaged.seen_by_opencv is not None else damaged.seen
    return replace(trial, seen=seen, refused=_must_refuse(damaged))


def _must_refuse(damaged: Corrupted) -> bool | None:
    return None if damaged.any_pixels else damaged.seen is None


def _masks(case: Case, root: Path, intact: Path, rng) -> Trial:
    first = _samples(case.task, intact)[0]
    damaged = MASKS[case.damage](first.labels, rng)
    trial = _write(case, root, first, encode(first.image), intact, rng)
    for file in (root / 'annotations').rglob(f'{NAME}.png'):
        file.write_bytes(damaged.content)
    return replace(trial, labels=trial.labels | {NAME: damaged.seen}, refused=_must_refuse(damaged))


def _jsons(case: Case, root: Path, intact: Path, rng) -> Trial:
    samples = _samples(case.task, intact)
    damaged = JSONS[case.damage](Detection.content(samples), rng)
    trial = _write(case, root, samples[0], encode(samples[0].image), intact, rng)
    for file in (root / 'annotations').iterdir():
        file.write_text(damaged.content)
    return replace(trial, labels=trial.labels | {NAME: damaged.boxes}, refused=damaged.boxes is None,
                   named=(NAME, 'instances_'), log='instances_' if damaged.named else '')


def _frames(case: Case, root: Path, intact: Path, rng) -> Trial:
    """The labels are those of the pixels in the order of the file, which EXIF tells to turn."""
    first = _samples(case.task, intact)[0]
    content = IMAGES[f'EXIF orientation {rng.integers(5, 9)}'](first.image, rng).content
    turned = first.image.resize(first.image.size[::-1])
    stored = replace(first, image=turned, labels=TASKS[case.task].fitting(turned.size))
    return replace(_write(case, root, stored, content, intact, rng), refused=True)


def _files(case: Case, root: Path, intact: Path, rng) -> Trial:
    first = _samples(case.task, intact)[0]
    trial = _write(case, root, first, encode(first.image), intact, rng)
    mask = case.damage == 'missing mask'
    for file in list(root.rglob(f'{NAME}.{"png" if mask else "[jJ]*"}')):
        FILES['missing image' if mask else case.damage](file, first.image)
    return replace(trial, refused=True)


def _folders(case: Case, root: Path, intact: Path, rng) -> Trial:
    """Ten folders of classes, with an image in each."""
    image, damaged, delta = _samples(case.task, intact)[0].image, int(rng.integers(10)), 0
    for split in ('train', 'val'):
        for number in range(10):
            (root / split / f'class{number}').mkdir(parents=True)
            (root / split / f'class{number}' / f'{number}.jpg').write_bytes(encode(image))
        delta = FOLDERS[case.damage](root / split / f'class{damaged}', image, rng)
    labels = {str(number): number for number in range(10) if number != damaged or delta != -1}
    labels |= {NAME: damaged} if delta == 1 else {}
    return Trial(config_of('cls/mvit3_xxs_imagenette128.py', root, case.workers), labels,
                 named=(NAME, f'{root}/train has', f'{root}/val has'), refused=delta is None)


class _Log(logging.Handler):
    def __init__(self):
        super().__init__()
        self.text = ''

    def emit(self, record) -> None:
        self.text += record.getMessage() + '\n'


def _outcome(case: Case, trial: Trial, split: str) -> tuple[bool, str]:
    """What came of one of the two pipelines: whether it is what must come, and in words."""
    log = _Log()
    MMLogger.get_current_instance().addHandler(log)
    try:
        with DefaultScope.overwrite_default_scope(trial.cfg.default_scope):
            wrong = _labels_wrong(case, trial, split)
    except (UnreadableSample, UsageError, FileNotFoundError) as error:
        message = str(error).strip().splitlines()
        message = ' '.join(message[-1:] if 'Original Traceback' in str(error) else message)
        traceback.clear_frames(error.__traceback__)  # ends the loader's processes now: the collector waits 5 s for each
        named = any(name in message for name in trial.named)
        return named and trial.refused is not False, f'refused{"" if named else " without the name"}: {message}'
    finally:
        MMLogger.get_current_instance().removeHandler(log)
    if wrong:
        return False, wrong
    # a crop may pass by the part of a mask that is out of range
    cropped = split == 'train' and case.damage == 'mask out of range'
    if trial.refused and not cropped:
        return False, 'was not refused'
    if split == 'train' and trial.log not in log.text:
        return False, 'the log does not name what is left out'
    return True, 'right labels'


def _labels_wrong(case: Case, trial: Trial, split: str) -> str:
    """Go through an epoch: what is wrong with the labels or the pixels, or nothing."""
    task, training = TASKS[case.task], split == 'train'
    key = f'{split}_dataloader'
    check_data(trial.cfg, (key,))
    loader = Runner.build_dataloader(trial.cfg[key], seed=case.seed)
    check_samples(loader.dataset)
    found = set()
    for batch in loader:
        check_labels(batch['data_samples'], len(loader.dataset.metainfo['classes']) if case.task != 'detection' else 0)
        for inputs, sample in zip(batch['inputs'], batch['data_samples'], strict=True):
            name = Path(sample.img_path).stem
            found.add(name)
            labels = trial.labels[name]
            wrong = labels is not None and task.wrong(dict(inputs=inputs, data_samples=sample), labels, training)
            if not wrong and name == NAME and trial.seen is not None and not training:
                wrong = _pixels_wrong(loader.dataset, inputs, trial, sample.img_path)
            if wrong:
                return f'{name}: {wrong}'
    expected = {name for name, labels in trial.labels.items()
                if not (training and case.task == 'detection' and labels == [])}
    # mmdet trains an image of crowds as one without things
    return '' if found | {NAME} == expected | {NAME} and found >= expected else f'images {found} in place of {expected}'


def _pixels_wrong(dataset, inputs, trial: Trial, path: str) -> str:
    """Compare with what the same pipeline makes of a plain file of what the damaged one shows."""
    plain = Path(path).with_name('plain.png')
    trial.seen.save(plain)
    index = next(i for i in range(len(dataset)) if dataset.get_data_info(i)['img_path'] == path)
    info = dataset.get_data_info(index) | dict(img_path=str(plain))
    reference = dataset.pipeline(info)['inputs']
    if reference.shape != inputs.shape:
        return f'{tuple(inputs.shape)} in place of {tuple(reference.shape)} pixels'
    difference = (reference.float() - inputs.float()).abs().mean().item()
    return '' if difference <= PIXELS else f'pixels differ by {difference:.1f}'
