"""Intervals of a score, and of the difference of two models on the same images, over images and over seeds.

``scipy.stats.bootstrap`` draws images alone; here the same draws serve all runs, and seeds are drawn, too.
"""
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.stats import binomtest

RESAMPLES = 1000
LEVEL = 0.95
_SEED = 0  # of the draws, so that the same records give the same intervals


@dataclass(frozen=True)
class Interval:
    """A value with its confidence interval at ``LEVEL``, in percent or points."""
    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Score:
    """The score of a run: on its images, and on resampled ones.

    Args:
        value: In percent.
        resampled: (RESAMPLES,).
    """
    value: float
    resampled: np.ndarray


@lru_cache(maxsize=3)
def draws(images: int) -> np.ndarray:
    """How often each image is drawn, with replacement: (RESAMPLES, images)."""
    generator = np.random.default_rng(_SEED)
    drawn = np.empty((RESAMPLES, images), np.float32)
    for row in drawn:
        row[:] = np.bincount(generator.integers(images, size=images), minlength=images)
    return drawn


def wilson(correct: int, images: int) -> Interval:
    """A share of images in percent, with Wilson's interval."""
    found = binomtest(correct, images).proportion_ci(LEVEL, method='wilson')
    return Interval(100 * correct / images, 100 * found.low, 100 * found.high)


def mcnemar(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The p-value of McNemar's exact test.

    Args:
        ours: Whether one model is right, (images,).
        theirs: The other, on the same images.
    """
    first, second = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    return float(binomtest(first, first + second).pvalue) if first + second else 1.0


def over_images(ours: Score, theirs: Score) -> Interval:
    """The difference of two runs: the percentile interval of a paired bootstrap over images."""
    return _percentiles(ours.value - theirs.value, ours.resampled - theirs.resampled)


def over_images_and_seeds(ours: Sequence[Score], theirs: Sequence[Score]) -> Interval:
    """The difference of two models' means over their seeds: each resample draws images for all runs, seeds for each model.

    Of two seeds, a quarter of a model's draws has the first alone and a quarter the second, so that the interval reaches
    about as far as the most unlike pair of runs, and no further: two seeds tell little of a spread.
    """
    generator = np.random.default_rng(_SEED)

    def means(scores: Sequence[Score]) -> np.ndarray:
        chosen = generator.integers(len(scores), size=(len(scores), RESAMPLES))
        return np.take_along_axis(np.stack([each.resampled for each in scores]), chosen, axis=0).mean(0)
    value = np.mean([each.value for each in ours]) - np.mean([each.value for each in theirs])
    return _percentiles(float(value), means(ours) - means(theirs))


def _percentiles(value: float, resampled: np.ndarray) -> Interval:
    low, high = np.nanquantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))


def verdict(model: str, other: str, difference: Interval) -> str:
    """What an interval allows to say, as a sentence without a full stop."""
    figures = f'{difference.value:+.2f} points [{difference.low:+.2f}, {difference.high:+.2f}]'
    if difference.low > 0:
        return f'{model} is better than {other}: {figures}'
    if difference.high < 0:
        return f'{model} is worse than {other}: {figures}'
    return f'the spread does not decide between {model} and {other}: {figures}'
