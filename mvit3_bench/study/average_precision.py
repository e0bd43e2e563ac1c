"""COCO's average precision on resampled images, from detections that are matched already."""
from collections.abc import Iterator

import numpy as np

_THRESHOLDS = 10  # of IoU, from 0.50 to 0.95
_RECALLS = np.linspace(0, 1, 101)


def average_precision(arrays: dict[str, np.ndarray], weights: np.ndarray) -> np.ndarray:
    """AP over the IoU thresholds, classes that have boxes and 101 recalls, as pycocotools gives it for all sizes.

    Args:
        arrays: ``image``, ``category``, ``score``, ``matched``, ``ignored``, ``truths`` of
            :class:`mvit3_bench.engine.metrics.per_image.PerImageAP`.
        weights: How often each image is drawn, (resamples, images).

    Returns:
        From 0 to 1, (resamples,); NaN where no class has a box.
    """
    truths = weights @ arrays['truths'].astype(np.float64)  # (resamples, classes)
    totals = np.stack([_of_class(arrays, category, weights, truths[:, category]) for category in range(truths.shape[1])], 1)
    with np.errstate(invalid='ignore'):
        return np.where(truths > 0, totals, 0).sum(1) / (truths > 0).sum(1)


def _of_class(arrays: dict[str, np.ndarray], category: int, weights: np.ndarray, truths: np.ndarray) -> np.ndarray:
    """AP of a class, (resamples,)."""
    mine = np.flatnonzero(arrays['category'] == category)
    mine = mine[np.argsort(-arrays['score'][mine], kind='stable')]  # the highest score first
    drawn, found = weights[:, arrays['image'][mine]], np.zeros(len(weights))
    for true, number in _counted(arrays['matched'][mine], arrays['ignored'][mine], drawn):
        if len(true):  # precision is highest, and recall rises, at true ones alone
            hits = np.cumsum(drawn[:, true], axis=1, dtype=np.float64)
            best = np.maximum.accumulate((hits / np.maximum(number[:, true], 1))[:, ::-1], axis=1)[:, ::-1]
            reached = np.searchsorted(_RECALLS, hits / np.maximum(truths, 1)[:, None], side='right')
            found += (best * np.diff(reached, axis=1, prepend=0)).sum(1)
    return found / (_THRESHOLDS * len(_RECALLS))


def _counted(matched: np.ndarray, ignored: np.ndarray, drawn: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Of each IoU threshold the true detections, and how many count up to each one: (true,), (resamples, detections)."""
    number = np.cumsum(drawn, axis=1)
    for threshold in range(_THRESHOLDS):
        counts = (ignored >> threshold) & 1 == 0
        true = np.flatnonzero(counts & ((matched >> threshold) & 1 == 1))
        yield true, number if counts.all() else np.cumsum(drawn * counts, axis=1)
