"""Intervals and verdicts, against cases whose answer is known and against scipy's bootstrap."""
import numpy as np
import pytest

scipy_stats = pytest.importorskip('scipy.stats')

from mvit3_bench.study import statistics  # noqa: E402
from mvit3_bench.study.statistics import Interval, Score, verdict  # noqa: E402

IMAGES = 2000


def score(correct: np.ndarray) -> Score:
    """The score of a classifier."""
    return Score(100 * correct.mean(), 100 * (statistics.draws(len(correct)) @ correct) / len(correct))


def models(*shares: float, shared: float = 0.9) -> list[np.ndarray]:
    """Whether models of these accuracies are right: a share of the chance is that of the image, the rest each model's."""
    image, noise = np.random.default_rng(1).random(IMAGES), np.random.default_rng(2)
    found = []
    for share in shares:
        mine = shared * image + (1 - shared) * noise.random(IMAGES)
        found.append(mine < np.quantile(mine, share))
    return found


def test_identical_predictions():
    """The difference is 0, and so is its interval; McNemar's p is 1, and nothing is decided."""
    right, = models(0.8)
    same = statistics.over_images_and_seeds([score(right)] * 2, [score(right)] * 2)
    assert same == Interval(0, 0, 0) == statistics.over_images(score(right), score(right))
    assert statistics.mcnemar(right, right) == 1
    assert verdict('a', 'b', same) == 'the spread does not decide between a and b: +0.00 points [+0.00, +0.00]'


def test_known_difference():
    """Pairing finds 3 points in correlated predictions, which the intervals of each model alone would not."""
    better, worse = models(0.83, 0.80, shared=0.98)
    found = statistics.over_images(score(better), score(worse))
    assert found.value == pytest.approx(3) and 0 < found.low < 3 < found.high
    assert statistics.wilson(int(better.sum()), IMAGES).low < statistics.wilson(int(worse.sum()), IMAGES).high
    assert verdict('a', 'b', found).startswith('a is better than b: +3.00 points [+')
    assert verdict('b', 'a', statistics.over_images(score(worse), score(better))).startswith('b is worse than a: -3.00')
    assert statistics.mcnemar(better, worse) < 1e-6


def test_as_scipy():
    """Over images alone the interval is that of scipy's paired bootstrap, but for the draws."""
    better, worse = models(0.83, 0.80)
    found = statistics.over_images(score(better), score(worse))
    other = scipy_stats.bootstrap(
        (better, worse), lambda ours, theirs, axis: 100 * (ours.mean(axis) - theirs.mean(axis)), paired=True,
        n_resamples=statistics.RESAMPLES, method='percentile', rng=3, batch=100).confidence_interval
    assert (found.low, found.high) == pytest.approx((other.low, other.high), abs=0.25)


def test_seeds_widen_the_interval():
    """A gain on the same images that is no larger than the spread of the seeds is not decided."""
    first, second, other = models(0.84, 0.78, 0.805, shared=0.98)
    alone = statistics.over_images(score(first), score(other))
    both = statistics.over_images_and_seeds([score(first), score(second)], [score(other), score(other)])
    assert alone.low > 0 and both.value == pytest.approx(0.5) and both.low < -1.5 and both.high > 2.5
    assert 'does not decide' in verdict('a', 'b', both)


def test_known_figures():
    """Wilson's interval of 8 of 10; McNemar's test of 10 against 2."""
    assert statistics.wilson(8, 10) == Interval(80, pytest.approx(49.02, abs=0.01), pytest.approx(94.33, abs=0.01))
    ours, theirs = np.zeros(100, bool), np.zeros(100, bool)
    ours[:10], theirs[10:12], ours[12:60], theirs[12:60] = True, True, True, True
    assert statistics.mcnemar(ours, theirs) == pytest.approx(0.03857, abs=1e-5)


def test_coverage():
    """The interval has the true difference in about 95 of 100 cases, the seeds being many."""
    noise, hits = np.random.default_rng(5), 0
    for _ in range(60):
        runs = [[score(noise.random(400) < share + 0.02 * noise.standard_normal()) for _ in range(6)]
                for share in (0.82, 0.80)]
        found = statistics.over_images_and_seeds(*runs)
        hits += found.low <= 2 <= found.high
    assert hits >= 50


def test_coverage_of_two_seeds():
    """With two seeds that interval has it in three of four cases, as the page says; the one of pooled seeds in 19 of 20."""
    noise, narrow, wide = np.random.default_rng(5), 0, 0
    for _ in range(100):
        easy = noise.random(1000)

        def run(share, easy=easy):
            mine = 0.8 * easy + 0.2 * noise.random(1000)
            return score(mine < np.quantile(mine, share + 0.02 * noise.standard_normal()))
        models = [[run(share) for _ in range(2)] for share in (0.82, 0.80, *[0.8] * 6)]
        found, wider = statistics.over_images_and_seeds(*models[:2]), statistics.over_pooled_seeds(*models[:2], models)
        narrow += found.low <= 2 <= found.high
        wide += wider.low <= 2 <= wider.high
    assert 65 <= narrow <= 85 and wide >= 90


def test_pooled_seeds():
    """Student's interval, by hand; none if no model has two runs."""
    runs = [[Score(value, np.full(statistics.RESAMPLES, value)) for value in values] for values in ((80, 82), (70, 74))]
    found = statistics.over_pooled_seeds(*runs, runs)
    reach = 4.302653 * np.sqrt((2 + 8) / 2)  # of t at 2 degrees of freedom; the variances' mean is that of a difference
    assert found == Interval(9, pytest.approx(9 - reach, abs=1e-4), pytest.approx(9 + reach, abs=1e-4))
    assert statistics.over_pooled_seeds(runs[0][:1], runs[1][:1], [each[:1] for each in runs]) is None


def test_blocks():
    """Neighbours are drawn together: what is alike in all of them varies as much as a twentieth of the images."""
    alone, blocks = statistics.draws(400), statistics.draws(400, 20)
    assert (blocks.sum(1) == 400).all() and (alone.sum(1) == 400).all()
    drive = np.repeat(np.random.default_rng(0).random(20), 20)  # 20 places, 20 frames of each
    ratio = (blocks @ drive).std() / (alone @ drive).std()
    assert 3 < ratio < np.sqrt(20)
