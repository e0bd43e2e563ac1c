"""What the runs of the study gave, by config and backbone."""
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from ..results.store import Result
from ..suite.runs import Run, Suite
from ..suite.table import score
from .claims import DATA, Claim, label, published_difference
from .records import Record
from .statistics import Interval, Score, draws, mcnemar, over_images, over_images_and_seeds, verdict, wilson


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
    _scores: dict[str, Score] = field(default_factory=dict)

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

    def score(self, run: Run) -> Score:
        """The score of a run that has a record, on its images and on resampled ones."""
        if run.name not in self._scores:
            record = self.records[run.name]
            self._scores[run.name] = Score(float(record.scores(np.ones((1, record.images)))[0]),
                                           record.scores(draws(record.images)))
        return self._scores[run.name]

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
        difference: Over images and these seeds; None if there are none.
        wanted: Number of seeds that the suite has of the model.
    """
    claim: Claim
    seeds: tuple[tuple[int, Interval, float | None], ...]
    difference: Interval | None
    wanted: int

    @property
    def sentence(self) -> str:
        """The verdict."""
        names = tuple(label(model) for _, model in self.claim.cells)
        if self.claim.other_config:
            names = 'the cosine after the warm-up', 'the published one'
        said = f'{names[0]} against {names[1]}: not yet' if self.difference is None else verdict(*names, self.difference)
        some = f' ({len(self.seeds)} of {self.wanted} seeds)' if 0 < len(self.seeds) < self.wanted else ''
        return f'{", ".join(DATA[self.claim.config])}: {said}{some}'

    @property
    def published(self) -> str:
        """The authors' difference of this pair; empty if there is none."""
        return published_difference(self.claim)


def compare(outcome: Outcome, claim: Claim) -> Comparison:
    """Compare the two models of a claim on the same images."""
    ours, theirs = ({run.seed: run for run in outcome.runs(*cell) if run.name in outcome.records} for cell in claim.cells)
    common = sorted(ours.keys() & theirs.keys())
    seeds = tuple((seed, over_images(outcome.score(ours[seed]), outcome.score(theirs[seed])),
                   _mcnemar(outcome.records[ours[seed].name], outcome.records[theirs[seed].name]))
                  for seed in common)
    both = [[outcome.score(runs[seed]) for seed in common] for runs in (ours, theirs)]
    return Comparison(claim, seeds, over_images_and_seeds(*both) if common else None, len(outcome.runs(*claim.cells[0])))


def _mcnemar(ours: Record, theirs: Record) -> float | None:
    return None if ours.correct is None else mcnemar(ours.correct, theirs.correct)
