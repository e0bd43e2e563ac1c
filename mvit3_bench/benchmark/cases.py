"""The runs that are timed against each other, each checked before: it must compute what our model computes."""
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from ..deploy.wrappers import deviation
from . import timing
from .backends import LAYOUTS, MODES, RUNTIMES, Call, Skipped
from .models import Subject
from .timing import fastest, peak_memory, quick_time

# largest deviation, in standard deviations of the outputs; bfloat16 has three bits less than float16
TOLERANCES = dict(fp32=1e-4, fp16=1e-2, bf16=1e-1)
_CHOOSE_LAYOUT = ('eager', 'compile', 'train')


class Deviates(Exception):
    """A contender computes something else than our model."""


@dataclass
class Contender:
    """One run that is timed: a network in a mode, a type and at a batch size.

    Args:
        model: Name of the config.
        owner: ``'ours'``, or the package of a peer.
        mode, dtype: See :mod:`mvit3_bench.benchmark.backends`.
        batch: Images in a call.
        call: One inference or step of training.
        calls: How many of them a block has.
        layout: Memory layout of images and weights; empty where a mode does not have the choice.
        deviation: Largest deviation of its outputs from our model's, in standard deviations of these; None for the kernels.
        memory: Peak memory of a call in bytes above what the process had before; None where it cannot be told.
        rounds: Seconds of each call, a list a round.
    """
    model: str
    owner: str
    mode: str
    dtype: str
    batch: int
    call: Call | None = None
    calls: int = 0
    layout: str = ''
    deviation: float | None = None
    memory: int | None = None
    rounds: list[list[float]] = field(default_factory=list)

    def __str__(self) -> str:
        return f'{self.model}, {self.owner}, {self.mode}, {self.dtype}, batch {self.batch}'

    def quantile(self, share: float) -> float:
        """Quantile of the seconds of all calls."""
        return float(np.quantile(np.concatenate(self.rounds), share))

    def round_medians(self) -> list[float]:
        """Median seconds of each round."""
        return [float(np.median(each)) for each in self.rounds]


def check(contender: Contender, found: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> None:
    """Note how far a contender's outputs are from the expected ones.

    Raises:
        Deviates: It is more than its type allows.
    """
    contender.deviation = deviation([one.to(other) for one, other in zip(found, expected, strict=True)], expected)
    allowed = TOLERANCES[contender.dtype]
    if not contender.deviation <= allowed:  # NaN is no success either
        raise Deviates(f'{contender}: its outputs deviate from our model by {contender.deviation:.2g} standard deviations '
                       f'(allowed: {allowed:g}), so timing it would compare two different things')


def peer_mode(mode: str) -> str:
    """The mode of a peer that one of ours is compared with: a peer has no inference copy."""
    return 'eager' if mode == 'deploy' else mode


def plan(modes: list[str], dtypes: list[str]) -> list[tuple[str, str]]:
    """(mode, type) of our contenders; runtimes, which have float32 alone, stand there once."""
    return [(mode, dtype) for dtype in dtypes for mode in modes if mode not in RUNTIMES or dtype == 'fp32']


def prepare(subjects: list[Subject], plan: list[tuple[str, str]], batch: int, device: torch.device, seed: int,
            say: Callable[[str], None]) -> Iterator[Contender | tuple[str, str]]:
    """Prepare and check all contenders of a config at a batch size.

    Args:
        subjects: Our network, then its peers.
        plan: Modes and types.
        batch: Images in a call.
        device: Where to run.
        seed: Of the images.
        say: Is told what is going on.

    Yields:
        A contender; or for one that cannot be run its name and the reason.

    Raises:
        Deviates: A contender computes something else.
        Skipped: One of ours cannot be exported.
    """
    ours = subjects[0]
    images = torch.rand(batch, *ours.size, generator=torch.Generator().manual_seed(seed)).to(device)
    with torch.inference_mode():
        expected = ours.network.to(device)(images.contiguous(memory_format=torch.channels_last))
    wanted = dict.fromkeys((subject, mode if subject is ours else peer_mode(mode), dtype)
                           for mode, dtype in plan for subject in subjects if subject is ours or mode != 'kernels')
    for subject, mode, dtype in wanted:
        contender = Contender(subject.model, subject.owner, mode, dtype, batch)
        say(f'preparing {contender}')
        try:
            yield _prepared(contender, subject, images, expected)
        except Skipped as reason:
            if subject is ours and mode in RUNTIMES:
                raise Skipped(f'{contender}: {reason}') from reason
            yield str(contender), str(reason)


def _prepared(contender: Contender, subject: Subject, images: Tensor, expected: tuple[Tensor, ...]) -> Contender:
    """Fill in all that is missing; of two layouts of a peer the faster."""
    runtime = contender.mode in RUNTIMES
    choose = subject.owner != 'ours' and contender.mode in _CHOOSE_LAYOUT
    candidates = []
    for layout in (LAYOUTS if choose else ['channels_last']):
        call, outputs = MODES[contender.mode](subject, images, contender.dtype, layout)
        each = replace(contender, call=call, layout='' if runtime else layout, rounds=[])
        if outputs:
            if runtime:  # it keeps what its first call took, so a later one would show nothing
                each.memory = peak_memory(call, images.device)
            check(each, outputs(), expected)
        candidates.append(each)
    best = candidates[fastest([each.call for each in candidates], images.device) if choose else 0]
    best.calls = max(2, round(timing.BLOCK / quick_time(best.call, images.device)))
    if not runtime and best.mode != 'kernels':
        best.memory = peak_memory(best.call, images.device)
    return best
