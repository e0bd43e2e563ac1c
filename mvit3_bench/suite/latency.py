"""Latencies of a suite's models: in ONNX Runtime at batch 1, those of a config in turns."""
import json
import time
from collections.abc import Callable

import torch

from ..benchmark import timing
from ..benchmark.backends import Skipped
from ..benchmark.cases import Case, Deviates, prepare
from ..benchmark.models import build_models
from ..checkpoints.atomic import write_text
from ..engine.options import merge_options
from ..engine.run_config import read_config, set_backbone
from ..errors import BenchError
from ..utils import environment
from ..utils.packages import named
from .runs import Run, Suite

LATENCIES = 'latency.json'  # in the folder of the suite
ROUNDS, SEED = 15, 0
_BACKEND = 'onnxruntime'
_CPU = torch.device('cpu')


def measure(suite: Suite, log: Callable[[str], None]) -> None:
    """Measure each model of a suite, with random weights, and write them into its folder, those of a config at once.

    Args:
        suite: The suite.
        log: Called with a line on the progress, and on what cannot be measured.
    """
    models, machine = {}, environment.describe(_CPU)
    for config in dict.fromkeys(run.recorded for run in suite.runs):
        runs = {run.result_config: run for run in suite.runs if run.recorded == config}
        cases = [case for run in runs.values() if (case := _case(run, log))]
        log(f'{config}: {ROUNDS} rounds of {len(cases)} models')
        timing.measure(cases, ROUNDS, SEED, _CPU, lambda: None)
        models |= {case.model: case.quartiles() for case in cases}
        content = dict(machine=machine, onnxruntime=named(_BACKEND), rounds=ROUNDS,
                       date=time.strftime('%Y-%m-%d'), models=models)
        write_text(suite.folder / LATENCIES, json.dumps(content, indent=1) + '\n')


def _case(run: Run, log: Callable[[str], None]) -> Case | None:
    """The model of a run, ready and checked; None if it cannot be exported, and the log says why."""
    try:
        cfg = read_config(run.config)
        set_backbone(cfg, run.backbone)
        merge_options(cfg, run.options)
        models = build_models(run.result_config, cfg, [], None, SEED)
        case, = prepare(models, [(_BACKEND, 'fp32')], 1, _CPU, SEED, log, timing.BLOCK)
    except (BenchError, ValueError, KeyError, TypeError, AttributeError, Skipped, Deviates) as why:
        log(f'{run.result_config} has no latency: {why}')
        return None
    return case


def read(suite: Suite) -> dict:
    """What was measured; without a file, no models."""
    file = suite.folder / LATENCIES
    return json.loads(file.read_text(encoding='utf-8')) if file.is_file() else dict(models={})


def notes(measured: dict) -> list[str]:
    """How it was measured, a line; none, if it was not."""
    models = measured['models'].values()
    if not models:
        return []
    spread = max((each['quartile_3_ms'] - each['quartile_1_ms']) / each['median_ms'] for each in models)
    return [f'Latency in ms: ONNX Runtime {measured["onnxruntime"]}, batch 1, median of {measured["rounds"]} rounds, the '
            f'models of a config in turns; the quartiles of one are {spread:.0%} of its median apart at most. Measured on '
            f'{measured["date"]}: {environment.line(measured["machine"])}']
