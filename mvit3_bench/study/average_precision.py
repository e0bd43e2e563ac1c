"""COCO's average precision on resampled images, from detections that are matched already."""
import numpy as np

_THRESHOLDS = 10  # of IoU, from 0.50 to 0.95
_RECALLS = np.linspace(0, 1, 101)


def average_precision(arrays: dict[str, np.ndarray], weights: np.ndarray) -> np.ndarray:
    """AP over the IoU thresholds, classes that have boxes and 101 recalls, as pycocotools gives it for all sizes.

    Args:
        arrays: ``image``, ``category``, ``score``, ``matched``, ``ignored``, ``truths`` of
            :class:`mvit3_bench.engine.per_image.PerImageAP`.
        weights: How often each image is drawn, (resamples, images).

    Returns:
        From 0 to 1, (resamples,); NaN where no class has a box.
    """
    classes = [_sorted(arrays, category) for category in range(arrays['truths'].shape[1])]
    found = np.full((len(weights), len(classes)), np.nan)
    for number, drawn in enumerate(weights):
        for category, each in enumerate(classes):
            truths = drawn @ arrays['truths'][:, category]
            if truths:
                found[number, category] = _of_class(*each, drawn, truths)
    empty = np.isnan(found).all(1)
    found[empty] = 0
    return np.where(empty, np.nan, np.nanmean(found, axis=1))


def _sorted(arrays: dict[str, np.ndarray], category: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Detections of a class, the highest score first: images, and of each threshold which are true, and which count."""
    mine = np.flatnonzero(arrays['category'] == category)
    mine = mine[np.argsort(-arrays['score'][mine], kind='stable')]
    matched, ignored = ((arrays[key][mine] >> np.arange(_THRESHOLDS, dtype=np.uint16)[:, None]) & 1 == 1
                        for key in ('matched', 'ignored'))
    return arrays['image'][mine], (matched & ~ignored).astype(np.float64), (~ignored).astype(np.float64)


def _of_class(images: np.ndarray, true: np.ndarray, counting: np.ndarray, weights: np.ndarray, truths: float) -> float:
    if not len(images):
        return 0.0
    drawn = weights[images]
    hits, all_of_them = np.cumsum(true * drawn, axis=1), np.cumsum(counting * drawn, axis=1)
    precision = hits / np.maximum(all_of_them, 1)
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]  # the highest at this recall or a higher one
    total = 0.0
    for recall, best in zip(hits / truths, precision, strict=True):
        places = np.searchsorted(recall, _RECALLS)
        total += best[places[places < len(best)]].sum()
    return total / (_THRESHOLDS * len(_RECALLS))
