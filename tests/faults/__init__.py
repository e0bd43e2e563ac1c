"""Faults injected on purpose: kills, hostile checkpoints, damaged inputs, lost ranks; what came of each: :class:`Fault`."""
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Fault:
    """One injected fault and its end.

    Attributes:
        kind: What was done, in a few words: a row of the table, for instance ``'SIGKILL, segmentation'``.
        name: Which one of its kind, enough to try it again.
        outcome: ``'survived'``: the promise held (a resumed run with equal bits, a refusal that names the file, an input
            that worked); ``'lost'``: it did not.
        detail: What was seen, in a line.
    """
    kind: str
    name: str
    outcome: Literal['survived', 'lost']
    detail: str = ''
