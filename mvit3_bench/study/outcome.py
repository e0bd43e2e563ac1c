"""What the runs of the study gave, by config and backbone."""
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..results.store import Result
from ..suite.runs import Run, Suite
from ..suite.table import score
from .claims import DATA, FRAMES, Claim, label
from .records import Record
from .statistics import (
    Interval,
    Score,
    draws,
    mcnemar,
    over_images,
    over_images_and_seeds,
    over_pooled_seeds,
    sign,
    verdict,
    wilson,
)


@dataclass(frozen=True, eq=False)
class Outcome:
    """The suite of the study, and what is there of its runs.

    Args:
        suite: The suite.
        results: Of the runs that are done, by name.
        records: Of those whose record is there, by name.
    """
    suite: Suite
    results: dict[str, Result]
    records: dict[str, Record]
    _scores: dict[tuple[str, int], Score] = field(default_factory=dict)

    def runs(self, config: str, backbone: str) -> list[Run]:
        """The runs of a model, by their seeds, done or not."""
        found = (run for run in self.suite.runs if (run.recorded, run.backbone) == (config, backbone))
        return sorted(found, key=lambda run: run.seed)

    def missing(self) -> list[Run]:
        """Runs that are not done."""
        return [run for run in self.suite.runs if run.name not in self.results]

    def without_record(self) -> list[Run]:
        """Runs that are done, and have no record, so that no comparison has them."""
        return [run for run in self.suite.runs if run.name in self.results and run.name not in self.records]

    def score(self, run: Run, frames: int = 1) -> Score:
        """The score of a run that has a record, on its images and on resampled ones.

        Args:
            run: The run.
            frames: Number of neighbouring images that are drawn together.
        """
        if (run.name, frames) not in self._scores:
            record = self.records[run.name]
            self._scores[run.name, frames] = Score(record.value, record.scores(draws(record.images, frames)))
        return self._scores[run.name, frames]

    def trainings(self, data: tuple[str, str]) -> list[list[Score]]:
        """The scores of each model's runs on a data set."""
        found = {}
        for run in self.suite.runs:
            if DATA[run.recorded] == data and run.name in self.records:
                found.setdefault((run.recorded, run.backbone), []).append(self.score(run))
        return list(found.values())

    def values(self, runs: Iterable[Run]) -> list[float]:
        """The scores of those runs that are done, in percent, as their results have them."""
        return [score(self.results[run.name])[1] for run in runs if run.name in self.results]

    def intervals(self, runs: Iterable[Run]) -> list[Interval | None]:
        """Of classifiers, top-1 with Wilson's interval over the images; None of a run without a record."""
        records = [self.records.get(run.name) for run in runs]
        return [record and wilson(int(record.correct.sum()), record.images) for record in records]


@dataclass(frozen=True, eq=False)
class Comparison:
    """A claim, and what the runs say of it.

    Args:
        claim: The claim.
        seeds: Of each seed that both models have, its number, the difference over images, and of classifiers McNemar's p.
        difference: Over images and these seeds; None of fewer than two.
        pooled: The same by the spread of all trainings on the data, and over frames where images are such.
        wanted: Number of seeds that the suite has of the model.
    """
    claim: Claim
    seeds: tuple[tuple[int, Interval, float | None], ...]
    difference: Interval | None
    pooled: Interval | None
    wanted: int

    @property
    def names(self) -> tuple[str, str]:
        """What a sentence calls the two."""
        if self.claim.other_config:
            return 'the cosine after the warm-up', 'the published one'
        first, second = (label(model) for _, model in self.claim.cells)
        return first, second

    @property
    def sentence(self) -> str:
        """The verdict."""
        data = ', '.join(DATA[self.claim.config])
        if self.difference is None:
            some = f' ({len(self.seeds)} of {self.wanted} seeds)' if self.seeds else ''
            return f'{data}: {" against ".join(self.names)}: not yet{some}'
        said = f'{data}: {verdict(*self.names, self.difference)}'
        if len(self.seeds) < self.wanted:
            said += f' ({len(self.seeds)} of {self.wanted} seeds)'
        if self.pooled and sign(self.pooled) != sign(self.difference):
            decides = 'decides' if sign(self.pooled) else 'does not decide'
            said += f'; the wider interval [{self.pooled.low:+.2f}, {self.pooled.high:+.2f}] {decides}'
        return said


def compare(outcome: Outcome, claim: Claim) -> Comparison:
    """Compare the two models of a claim on the same images."""
    ours, theirs = ({run.seed: run for run in outcome.runs(*cell) if run.name in outcome.records} for cell in claim.cells)
    common = sorted(ours.keys() & theirs.keys())
    seeds = tuple((seed, over_images(outcome.score(ours[seed]), outcome.score(theirs[seed])),
                   _mcnemar(outcome.records[ours[seed].name], outcome.records[theirs[seed].name]))
                  for seed in common)
    wanted = len(outcome.runs(*claim.cells[0]))
    if len(common) < 2:
        return Comparison(claim, seeds, None, None, wanted)

    def both(frames: int) -> list[list[Score]]:
        return [[outcome.score(runs[seed], frames) for seed in common] for runs in (ours, theirs)]
    pooled = over_pooled_seeds(*both(FRAMES.get(claim.config, 1)), outcome.trainings(DATA[claim.config]))
    return Comparison(claim, seeds, over_images_and_seeds(*both(1)), pooled, wanted)


def _mcnemar(ours: Record, theirs: Record) -> float | None:
    return None if ours.correct is None else mcnemar(ours.correct, theirs.correct)
