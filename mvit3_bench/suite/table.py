"""The table of a suite: one row a backbone, with the score of each config and the cost of the model."""
import hashlib
import json
import statistics
from collections.abc import Iterable, Sequence

from ..checkpoints.atomic import write_text
from ..engine.run_config import model_and_size, read_config
from ..errors import BenchError
from ..mmlab.backbone_names import name_of
from ..models.complexity import at_inference, count
from ..models.forward import in_channels
from ..results.store import METRICS, Result
from ..utils.text import printable, table
from . import latency
from .runs import Run, Suite
from .state import read_state

COUNTS = 'counts.json'  # in the folder of the suite, since counting takes seconds a model


def score(result: Result) -> tuple[str, float] | None:
    """The main metric of a result and its value in percent."""
    return next(((metric, value) for metric in METRICS if (value := result.percent(metric)) is not None), None)


def make_table(suite: Suite, results: dict[str, Result]) -> str:
    """The table in Markdown, with what it was made of below it.

    Args:
        suite: The suite.
        results: Of its runs that are done, by name.
    """
    labels = {run: run.backbone or _own_backbone(run) for run in suite.runs}
    configs = list(dict.fromkeys(run.recorded for run in suite.runs))
    measured = latency.read(suite)
    timed = configs if measured['models'] else []
    rows = []
    for label in dict.fromkeys(labels.values()):
        mine = [run for run in suite.runs if labels[run] == label]
        cells = [_cell([run for run in mine if run.recorded == config], results) for config in configs]
        of_first = next((run for run in mine if run.recorded == configs[0]), None)
        counted = cost(suite, of_first) if of_first and any(run.name in results for run in mine) else None
        names = {run.recorded: run.result_config for run in mine}
        times = [measured['models'].get(names.get(config)) for config in timed]
        rows.append((label, *cells, *([f'{number / 1e6:.2f}' for number in counted] if counted else ['', '']),
                     *(f'{each["median_ms"]:.2f}' if each else '' for each in times)))
    columns = ('backbone', *(_heading(config, suite.runs, results) for config in configs), 'parameters', 'multiply-adds',
               *(f'{config.removesuffix(".py")} ms' for config in timed))
    return table(rows, columns, left=1) + '\n' + _notes(suite, results, configs[0], measured)


def _own_backbone(run: Run) -> str:
    """The backbone of a run's config; of one that cannot be read, or has none, the name of the config."""
    try:
        return name_of(read_config(run.config).model.backbone)
    except (BenchError, AttributeError):
        return run.recorded


def _cell(runs: list[Run], results: dict[str, Result]) -> str:
    """The mean over the seeds, with its standard deviation."""
    values = [found[1] for run in runs if run.name in results and (found := score(results[run.name]))]
    if not values:
        return ''
    return mean_and_deviation(values) + (f' ({len(values)} of {len(runs)})' if len(values) < len(runs) else '')


def mean_and_deviation(values: Sequence[float]) -> str:
    """Mean and, of more than one value, standard deviation; empty without any."""
    if not values:
        return ''
    return f'{statistics.mean(values):.2f}' + (f' ± {statistics.stdev(values):.2f}' if len(values) > 1 else '')


def _heading(config: str, runs: Iterable[Run], results: dict[str, Result]) -> str:
    found = [score(results[run.name]) for run in runs if run.recorded == config and run.name in results]
    return ' '.join([config.removesuffix('.py'), *{metric for metric, _ in filter(None, found)}])


def cost(suite: Suite, run: Run) -> tuple[int, int] | None:
    """Parameters and multiply-adds of a run's model in a test; None if its config cannot be read or has no size of
    the images, for instance.
    """
    file = suite.folder / COUNTS
    try:
        config = hashlib.sha256(repr(read_config(run.config).to_dict()).encode()).hexdigest()  # the file may change
    except BenchError:
        return None
    key = json.dumps([run.result_config, run.options, config])
    known = json.loads(file.read_text(encoding='utf-8')) if file.is_file() else {}
    if key not in known:
        try:
            _, model, size = model_and_size(run.config, run.backbone, list(run.options))
            total = at_inference(count(model, size, in_channels(model)))
        except BenchError:
            return None
        known[key] = total.parameters, total.multiply_adds
        write_text(file, json.dumps(known, indent=1) + '\n')
    return tuple(known[key])


def _notes(suite: Suite, results: dict[str, Result], first: str, measured: dict) -> str:
    done = [results[run.name] for run in suite.runs if run.name in results]
    seeds = sorted({run.seed for run in suite.runs})
    hours = sum(read_state(run).get('seconds', 0) for run in suite.runs) / 3600
    spread = f', mean and standard deviation over the seeds {", ".join(map(str, seeds))}' if len(seeds) > 1 else ''
    time = f' in {hours:.1f} hours' if hours else ''
    lines = [f'`{suite.command}`: {len(done)} of {len(suite.runs)} runs{time}',
             f'Scores in percent{spread}; parameters and multiply-adds in M, of {first.removesuffix(".py")}']
    lines += latency.notes(measured)
    if any(result.mini for result in done):
        lines.append('Miniature data: these figures show that everything runs, and compare nothing')
    lines += sorted({f'{f"Commit {result.commit}, " if result.commit else ""}{result.hardware}' for result in done})
    return '\n'.join(f'{printable(each)}.  ' for each in lines).rstrip() + '\n'
