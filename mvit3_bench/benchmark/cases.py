"""The cases that are timed against each other. Each is checked first: its outputs must be those of our model."""
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from ..deploy.wrappers import deviation
from .backends import BACKENDS, LAYOUTS, RUNTIMES, Call, Skipped
from .models import TimedModel
from .timing import fastest, peak_memory, quick_time

# largest deviation, in standard deviations of the outputs; bfloat16 has three bits less than float16. With random weights
# timm's MobileViTv2 is 0.014 and 0.09 off; after a mistake a network is above 1.
TOLERANCES = dict(fp32=1e-4, fp16=5e-2, bf16=3e-1)
_CHOOSE_LAYOUT = ('eager', 'compile', 'train')


class Deviates(Exception):
    """The outputs of a case deviate from those of our model."""


@dataclass
class Case:
    """One case that is timed: a network with a backend, a type and a batch size.

    Args:
        model: Name of the config.
        owner: ``'ours'``, or the package of a baseline.
        backend, dtype: See :mod:`mvit3_bench.benchmark.backends`.
        batch: Images in a call.
        call: One inference or step of training.
        calls: How many of them a block has.
        layout: Memory layout of images and weights; empty where a backend does not have the choice.
        deviation: Largest deviation of its outputs from our model's, in standard deviations of these; None for the kernels.
        memory: Peak memory of a call in bytes above what the process had before; None where it cannot be told.
        rounds: Seconds of each call, a list a round.
    """
    model: str
    owner: str
    backend: str
    dtype: str
    batch: int
    call: Call | None = None
    calls: int = 0
    layout: str = ''
    deviation: float | None = None
    memory: int | None = None
    rounds: list[list[float]] = field(default_factory=list)

    def __str__(self) -> str:
        return f'{self.model}, {self.owner}, {self.backend}, {self.dtype}, batch {self.batch}'

    def quantile(self, share: float) -> float:
        """Quantile of the seconds of all calls."""
        return float(np.quantile(np.concatenate(self.rounds), share))

    def round_medians(self) -> list[float]:
        """Median seconds of each round."""
        return [float(np.median(each)) for each in self.rounds]

    def quartiles(self) -> dict[str, float]:
        """Median and quartiles of the rounds' medians, in milliseconds."""
        low, median, high = np.quantile(self.round_medians(), (0.25, 0.5, 0.75)) * 1e3
        return dict(median_ms=float(median), quartile_1_ms=float(low), quartile_3_ms=float(high))


def check(case: Case, found: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> None:
    """Store the deviation of a case's outputs from the expected ones, and check it.

    Raises:
        Deviates: It is more than its type allows.
    """
    case.deviation = deviation([one.to(other) for one, other in zip(found, expected, strict=True)], expected)
    allowed = TOLERANCES[case.dtype]
    if not case.deviation <= allowed:  # NaN fails, too
        raise Deviates(f'{case}: its outputs deviate from our model by {case.deviation:.2g} standard deviations '
                       f'(allowed: {allowed:g}), so timing it would compare two different things')


def baseline_backend(backend: str) -> str:
    """The backend of a baseline that one of our backends is compared with: a baseline has no inference copy."""
    return 'eager' if backend == 'deploy' else backend


def plan(backends: list[str], dtypes: list[str]) -> list[tuple[str, str]]:
    """Pairs (backend, type) of our cases; runtimes, which have float32 alone, occur once."""
    return [(backend, dtype) for dtype in dtypes for backend in backends if backend not in RUNTIMES or dtype == 'fp32']


def prepare(models: list[TimedModel], plan: list[tuple[str, str]], batch: int, device: torch.device, seed: int,
            log: Callable[[str], None], block: float) -> Iterator[Case | tuple[str, str]]:
    """Prepare and check all cases of a config at a batch size.

    Args:
        models: Our network, then its baselines.
        plan: Backends and types.
        batch: Images in a call.
        device: Where to run.
        seed: Of the images.
        log: Called with a line on the progress.
        block: Seconds that the calls of a block take together, about.

    Yields:
        A case, or the name of one that cannot be run and the reason.

    Raises:
        Deviates: The outputs of a case in float32 are not those of our model.
        Skipped: One of ours cannot be exported.
    """
    ours = models[0]
    images = torch.rand(batch, *ours.size, generator=torch.Generator().manual_seed(seed)).to(device)
    with torch.inference_mode():
        expected = ours.network.to(device)(images.contiguous(memory_format=torch.channels_last))
    wanted = dict.fromkeys((model, backend if model is ours else baseline_backend(backend), dtype)
                           for backend, dtype in plan for model in models if model is ours or backend != 'kernels')
    for model, backend, dtype in wanted:
        case = Case(model.name, model.owner, backend, dtype, batch)
        log(f'preparing {case}')
        try:
            yield _prepared(case, model, images, expected, block)
        except Skipped as reason:
            if model is ours and backend in RUNTIMES:
                raise Skipped(f'{case}: {reason}') from reason
            yield str(case), str(reason)
        except Deviates as reason:
            if dtype == 'fp32':
                raise
            yield str(case), str(reason)


def _prepared(case: Case, model: TimedModel, images: Tensor, expected: tuple[Tensor, ...], block: float) -> Case:
    """Fill in the fields of a case; where the faster of two layouts is not known, both are tried."""
    runtime = case.backend in RUNTIMES
    choose = case.backend in _CHOOSE_LAYOUT and not model.layout_known
    candidates = []
    for layout in (LAYOUTS if choose else ['channels_last']):
        call, outputs = BACKENDS[case.backend](model, images, case.dtype, layout)
        each = replace(case, call=call, layout='' if runtime else layout, rounds=[])
        if outputs:
            if runtime:  # it keeps what its first call took, so a later one would show nothing
                each.memory = peak_memory(call, images.device)
            check(each, outputs(), expected)
        candidates.append(each)
    best = candidates[fastest([each.call for each in candidates], images.device, block) if choose else 0]
    best.calls = max(2, round(block / quick_time(best.call, images.device)))
    if not runtime and best.backend != 'kernels':
        best.memory = peak_memory(best.call, images.device)
    return best
