"""Intervals of a score, and of the difference of two models on the same images, over images and over seeds.

``scipy.stats.bootstrap`` draws images alone, one by one; here the same draws serve all runs, seeds are drawn, too, and
frames of a video can be drawn as blocks (the moving-block bootstrap, Künsch 1989, of a circle of frames).
"""
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.stats import binomtest, t

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


@lru_cache(maxsize=4)
def draws(images: int, block: int = 1) -> np.ndarray:
    """How often each image is drawn, with replacement: (RESAMPLES, images).

    Args:
        images: Number of them, which are drawn.
        block: Number of neighbours that are drawn together; behind the last image comes the first.
    """
    generator = np.random.default_rng(_SEED)
    drawn = np.empty((RESAMPLES, images), np.float32)
    for row in drawn:
        starts = generator.integers(images, size=-(-images // block))
        chosen = (starts[:, None] + np.arange(block)).ravel()[:images] % images
        row[:] = np.bincount(chosen, minlength=images)
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


def over_pooled_seeds(ours: Sequence[Score], theirs: Sequence[Score],
                      trainings: Iterable[Sequence[Score]]) -> Interval | None:
    """The same difference, with the spread over seeds that all models of a data set have in common.

    Two runs tell little of a model's spread; those of all models tell it together, if it is about the same. The interval
    is Student's: of the variance over images, of the bootstrap, and that of the trainings.

    Args:
        ours: The runs of a model.
        theirs: Those of the other.
        trainings: The runs of each model.

    Returns:
        None if no model has two runs.
    """
    values = [[each.value for each in runs] for runs in trainings]
    freedom = sum(len(each) - 1 for each in values)
    if not freedom:
        return None
    of_seeds = sum(np.var(each) * len(each) for each in values) / freedom
    first, second = (np.mean([each.resampled for each in runs], axis=0) for runs in (ours, theirs))
    variance = np.nanvar(first - second, ddof=1) + of_seeds * (1 / len(ours) + 1 / len(theirs))
    reach = float(t.ppf((1 + LEVEL) / 2, freedom) * np.sqrt(variance))
    value = float(np.mean([each.value for each in ours]) - np.mean([each.value for each in theirs]))
    return Interval(value, value - reach, value + reach)


def _percentiles(value: float, resampled: np.ndarray) -> Interval:
    low, high = np.nanquantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))


def sign(difference: Interval) -> int:
    """1: the interval lies above 0; -1: below; 0: it holds 0."""
    return int(difference.low > 0) - int(difference.high < 0)


def verdict(model: str, other: str, difference: Interval) -> str:
    """What an interval allows to say, as a sentence without a full stop."""
    said = {1: f'{model} is better than {other}', -1: f'{model} is worse than {other}',
            0: f'the spread does not decide between {model} and {other}'}
    figures = f'{difference.value:+.2f} points [{difference.low:+.2f}, {difference.high:+.2f}]'
    return f'{said[sign(difference)]}: {figures}'
