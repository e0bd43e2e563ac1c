"""Latencies of a model in every runtime, in turns with an anchor, by whose ratios two machines compare."""
import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime

import numpy as np
import torch
from torch import Tensor

from ..benchmark import timing
from ..benchmark.backends import Call, Outputs, Skipped, calls_of, load_onnxruntime, load_openvino
from ..benchmark.cases import Case
from ..deploy.wrappers import deviation
from ..errors import WriteError
from .networks import ANCHOR, SEED, side
from .prepared import BATCHES, PARTS, Cache, Prepared, compile_classifier, reason

BLOCK = 0.25  # seconds that the calls of a block take together, about
TOLERANCE = 1e-3  # of the standard deviation
_LOAD = dict(onnxruntime=load_onnxruntime, openvino=load_openvino)
_CPU = torch.device('cpu')


class Measurer:
    """Measures one model after the other; the anchor is prepared once and kept.

    Args:
        cache: Of what is prepared.
        rounds: Number of blocks of each model, and of the anchor.
    """

    def __init__(self, cache: Cache, rounds: int):
        self.cache, self.rounds = cache, rounds
        self.anchors: dict[str, dict[int, Case]] = {}  # runtime -> batch -> case
        self.failed: dict[str, str] = {}  # runtime -> why the anchor cannot be run

    def measure(self, name: str, size: int) -> dict:
        """All figures of a model, as the json has them. Arguments as in :func:`.networks.build`."""
        start = time.perf_counter()
        complexity, cells, skipped = dict(parameters=None, multiply_adds=None), {}, {}
        try:
            complexity = self.cache.get(name, size, 'classifier').complexity
            for runtime, batches in BATCHES.items():
                parts = PARTS if runtime == 'onnxruntime' else PARTS[:1]
                cases = list(self._cases(name, size, runtime, parts, skipped))
                for batch in batches:
                    self._in_turns([case for case in cases if case.batch == batch], runtime, batch, cells, skipped)
        except Skipped as why:
            skipped['classifier'] = str(why)
        for part in PARTS[1:]:
            for cell in cells.get(f'onnxruntime_{part}', {}).values():
                cell |= self.cache.get(name, size, part).complexity
        gc.collect()
        return dict(size=size, **complexity, seconds=round(time.perf_counter() - start, 1),
                    measured=datetime.now().isoformat(timespec='seconds'), cells=cells, skipped=skipped)

    def _cases(self, name: str, size: int, runtime: str, parts: tuple[str, ...], skipped: dict[str, str]) -> Iterator[Case]:
        """The cases of a model in a runtime, checked; what cannot be run is noted."""
        for part in parts:
            backend = runtime if part == 'classifier' else f'{runtime}_{part}'
            try:
                prepared = self.cache.get(name, size, part)
                calls = _calls(name, size, runtime, prepared)
                for batch in BATCHES[runtime] if part == 'classifier' else (1,):
                    call, outputs, expected = calls(batch)
                    off = deviation(list(outputs()), expected)
                    if not off <= TOLERANCE:  # NaN is none, too
                        raise Skipped(f'batch {batch}: its outputs deviate from those of PyTorch by {off:.2g} standard '
                                      f'deviations (allowed: {TOLERANCE:g})')
                    number = max(1, round(BLOCK / timing.quick_time(call, _CPU)))
                    yield Case(name, '', backend, 'fp32', batch, call, number, deviation=off)
            except WriteError:
                raise
            except Exception as error:  # runtimes raise what they like
                skipped[backend] = reason(error)

    def _in_turns(self, cases: list[Case], runtime: str, batch: int, cells: dict, skipped: dict[str, str]) -> None:
        """Measure cases of a batch size with the anchor, and add their figures to the cells."""
        if runtime not in self.anchors:
            cases_of_anchor = self._cases(ANCHOR, side(ANCHOR), runtime, PARTS[:1], self.failed)
            self.anchors[runtime] = {case.batch: case for case in cases_of_anchor}
        if batch not in self.anchors[runtime]:
            skipped.update({case.backend: f'the anchor {ANCHOR} failed: {self.failed.get(runtime)}' for case in cases})
        elif cases:
            anchor = replace(self.anchors[runtime][batch], rounds=[])
            timing.measure([*cases, anchor], self.rounds, SEED, _CPU, lambda: None)
            for case in cases:
                cells.setdefault(case.backend, {})[str(batch)] = _figures(case, anchor)


def _calls(name: str, size: int, runtime: str,
           prepared: Prepared) -> Callable[[int], tuple[Call, Outputs, tuple[Tensor, ...]]]:
    """Batch -> the call of a runtime, its outputs, and those of PyTorch."""
    if runtime == 'compile':
        return lambda batch: compile_classifier(name, size, batch)
    if prepared.skipped:
        raise Skipped(prepared.skipped)
    run = _LOAD[runtime](prepared.onnx)
    return lambda batch: (*calls_of(run, prepared.images[:batch]), tuple(each[:batch] for each in prepared.expected))


def _figures(case: Case, anchor: Case) -> dict[str, float | int]:
    """The figures of a cell."""
    ratio, ratio_low, ratio_high = timing.ratio(case.round_medians(), anchor.round_medians())
    return case.quartiles() | dict(
        anchor_ms=float(np.median(anchor.round_medians()) * 1e3), ratio=ratio, ratio_quartile_1=ratio_low,
        ratio_quartile_3=ratio_high, calls=sum(map(len, case.rounds)), deviation=case.deviation)
