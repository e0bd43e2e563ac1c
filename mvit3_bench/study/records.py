"""The record of a run beside its result: the outcome of each test image, the learning curve, the cost and the time."""
import zipfile
import zlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ..checkpoints.atomic import atomic_write
from ..errors import ResultError
from ..results.curves import read as read_curve
from ..results.store import METRICS, Result
from ..suite.runs import Run, Suite
from ..suite.state import read_state
from ..suite.table import cost, score
from .average_precision import average_precision

PER_IMAGE = Path('test', 'per_image.npz')  # in the work dir of a run, as the configs of the study name it
_OUTCOMES = ('predicted', 'intersection', 'truths')  # an array of each task, whose first axis are the images
_TOLERANCE = dict(top1=0.006, mIoU=0.02, bbox_mAP=0.06)  # of the rounding in a result, in points


@dataclass(frozen=True, eq=False)
class Record:
    """What is known of one run's test beside its result.

    Args:
        path: The file.
        arrays: Those of :mod:`mvit3_bench.engine.metrics.per_image`, and ``result``, the id of the result; ``epochs`` and
            ``validation``, the learning curve in percent; ``seconds``; ``cost``, parameters and multiply-adds, or empty.
    """
    path: Path
    arrays: dict[str, np.ndarray]

    @property
    def images(self) -> int:
        """Number of images."""
        return len(next(self.arrays[key] for key in _OUTCOMES if key in self.arrays))

    @property
    def names(self) -> str:
        """The hash of the images' names."""
        return str(self.arrays['names'])

    @cached_property
    def correct(self) -> np.ndarray | None:
        """Of a classifier, whether each image is right, (images,); None of other models."""
        return self.arrays['predicted'] == self.arrays['label'] if 'predicted' in self.arrays else None

    @property
    def log_loss(self) -> float:
        """Of a classifier, the mean negative logarithm of the true class's probability, of 6e-8 at least."""
        return float(-np.log(np.maximum(self.arrays['probability'].astype(float), 6e-8)).mean())

    @cached_property
    def value(self) -> float:
        """The metric in percent, on the images of the test."""
        return float(self.scores(np.ones((1, self.images)))[0])

    def scores(self, weights: np.ndarray) -> np.ndarray:
        """The metric in percent on resampled images.

        Args:
            weights: How often each image is drawn, (resamples, images).

        Returns:
            Top-1, mIoU or AP, (resamples,).
        """
        if self.correct is not None:
            return 100 * (weights @ self.correct.astype(weights.dtype)) / weights.sum(1)
        if 'truths' in self.arrays:
            return 100 * average_precision(self.arrays, weights)
        intersection, union = (weights @ self.arrays[key].astype(float) for key in ('intersection', 'union'))
        return 100 * np.nanmean(np.where(union > 0, intersection / np.maximum(union, 1), np.nan), axis=1)


def collect(suite: Suite, run: Run, result: Result) -> Path | None:
    """Put the record of a run that is done beside its result, unless it is there.

    Returns:
        The file; None if the test has left no record.
    """
    path, outcome = run.results / f'{run.name}.npz', run.folder / PER_IMAGE
    with suppress(ResultError):  # a damaged one is made again
        if path.is_file() and str(read(path, 'result')['result']) == result.id:
            return path
    if not outcome.is_file():
        return None
    metric, factor = METRICS[score(result)[0]]
    curve = read_curve(run.folder, metric)
    arrays = read(outcome) | dict(
        result=np.array(result.id), seconds=np.array(read_state(run).get('seconds', np.nan)),
        cost=np.array(cost(suite, run) or (), np.int64),
        epochs=np.array([epoch for epoch, _ in curve], np.float32),
        validation=np.array([value * factor for _, value in curve], np.float32))
    with atomic_write(path) as file:
        np.savez_compressed(file, **arrays)
    return path


def load(runs: Iterable[Run], results: dict[str, Result]) -> dict[str, Record]:
    """The records of runs that are done, by their names; those that are not there are left out.

    Raises:
        ResultError: A file is damaged, belongs to another result, or two of one data set are of other images.
    """
    found, first = {}, {}
    for run in runs:
        path = run.results / f'{run.name}.npz'
        if run.name not in results or not path.is_file():
            continue
        record, result = Record(path, read(path, 'result')), results[run.name]
        _check(record, result)
        other = first.setdefault(result.dataset, record)
        if (other.names, other.images) != (record.names, record.images):
            raise ResultError(f'{path} is of other images than {other.path}: {record.images} ({record.names}) and '
                              f'{other.images} ({other.names})', path, 'test both runs on the same data')
        found[run.name] = record
    return found


def _check(record: Record, result: Result) -> None:
    """Check that a record is that of a result.

    Raises:
        ResultError: It names another one, or gives another figure.
    """
    fix = 'remove it, and test this run again'
    if str(record.arrays['result']) != result.id:
        raise ResultError(f'{record.path} belongs to the result {record.arrays["result"]}, and the newest of this run is '
                          f'{result.id}', record.path, fix)
    metric, value = score(result)
    if abs(record.value - value) > _TOLERANCE[metric]:
        raise ResultError(f'{record.path} gives {metric} {record.value:.2f}, and its result says {value:.2f}', record.path,
                          fix)


def read(path: Path, *needed: str) -> dict[str, np.ndarray]:
    """The arrays of a file.

    Args:
        path: The file.
        needed: Arrays that it must have, beside ``names``.

    Raises:
        ResultError: It is no npz of such arrays.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        missing = {'names', *needed} - arrays.keys()
        if missing:
            raise ValueError(f'it lacks {", ".join(sorted(missing))}')
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, AttributeError, TypeError) as error:
        raise ResultError(f'{path} is no record of a test: {error}', path, 'remove it, and test this run again') from error
    return arrays
