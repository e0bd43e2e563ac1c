"""Times of calls, taken in turns so that other load of the machine affects all of them alike; and peak memory."""
import ctypes
import gc
import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

BLOCK, QUICK_BLOCK = 0.4, 0.1  # seconds that the calls of a block take together, about
_LONG = 30  # seconds in which a choice between calls is made, if it can be


def timed(call: Callable[[], object], device: torch.device) -> float:
    """Seconds of one call, until the device is done."""
    wait = torch.cuda.synchronize if device.type == 'cuda' else lambda: None
    wait()
    start = time.perf_counter()
    call()
    wait()
    return time.perf_counter() - start


def quick_time(call: Callable[[], object], device: torch.device) -> float:
    """Seconds of the fastest of some calls: seven, or as many as a second has room for, but two."""
    times = []
    while len(times) < 2 or (len(times) < 7 and sum(times) < 1):
        times.append(timed(call, device))
    return min(times)


def fastest(calls: list[Callable[[], object]], device: torch.device, block: float) -> int:
    """Index of the call with the smallest median, taken in turns for eight blocks, of this many seconds, and nine times at
    least, or four if nine take more than half a minute: one after the other, a machine that slows down decides.
    """
    times = [[] for _ in calls]
    start = time.perf_counter()
    while (took := time.perf_counter() - start) < 8 * block or len(times[0]) < (9 if took < _LONG else 4):
        for call, mine in zip(calls, times, strict=True):
            mine.append(timed(call, device))
    return int(np.argmin([np.median(mine[2:]) for mine in times]))  # the first two warm up


def measure(cases: list, rounds: int, seed: int, device: torch.device, advance: Callable[[], None],
            keep: Callable[[], None] = lambda: None) -> None:
    """Time cases in turns. In each round every one runs a block of calls, in an order drawn anew.

    Args:
        cases: Have ``call``, ``calls``, its number in a block, and ``rounds``, to which each block is appended; all have as
            many rounds, of an interrupted run, or none.
        rounds: Number of rounds that they have at the end.
        seed: Of the orders.
        device: Where they run.
        advance: Is called behind each block.
        keep: Is called behind each round.
    """
    order, draw = list(cases), random.Random(seed)
    for number in range(rounds):
        draw.shuffle(order)
        if all(len(case.rounds) > number for case in cases):
            continue
        for case in order:
            timed(case.call, device)  # brings its code and weights back into the caches
            case.rounds.append([timed(case.call, device) for _ in range(case.calls)])
            advance()
        keep()


def ratio(numerator: list[float], denominator: list[float]) -> tuple[float, float, float]:
    """Median of the ratios of two cases' round medians, and the quartiles.

    A round that only one of them has, for want of time, does not count.

    Raises:
        ValueError: They have no round in common.
    """
    ratios = [one / other for one, other in zip(numerator, denominator, strict=False)]
    if not ratios:
        raise ValueError('there is no round that both have')
    return tuple(float(each) for each in np.quantile(ratios, (0.5, 0.25, 0.75)))


def peak_memory(call: Callable[[], object], device: torch.device) -> int | None:
    """Run a call once; bytes that it takes at its peak above what was there before; None if the system does not tell."""
    gc.collect()
    if device.type == 'cuda':
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        return torch.cuda.max_memory_allocated() - before
    try:
        # memory that is free, but not yet returned to the system, would hide what the call takes
        ctypes.CDLL(None).malloc_trim(0)
        Path('/proc/self/clear_refs').write_text('5')  # the peak starts anew
        before = _status('VmRSS')
    except (OSError, AttributeError, TypeError, KeyError):
        call()
        return None
    call()
    return max(_status('VmHWM') - before, 0)


def _status(key: str) -> int:
    lines = Path('/proc/self/status').read_text().splitlines()
    return int(dict(line.split(':', 1) for line in lines)[key].split()[0]) * 1024
