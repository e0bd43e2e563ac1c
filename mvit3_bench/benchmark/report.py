"""What was measured, as json, as Markdown tables and as a plot of accuracy against latency."""
import json
from collections.abc import Iterator
from pathlib import Path

from ..utils.environment import line
from ..utils.text import table
from .cases import Case, baseline_backend
from .timing import ratio

_COLUMNS = ('model', 'backend', 'ours ms (p90)', 'img/s', 'memory MB', 'times lower bound', 'baseline', 'baseline ms (p90)',
            'baseline MB', 'baseline / ours [quartiles]', 'deviation')
_MARKERS = dict(eager='o', deploy='s', compile='^', onnxruntime='D', openvino='v', graphs='P')


def report(cases: list[Case], skipped: list[tuple[str, str]], accuracies: dict[str, float | None],
           machine: dict, **provenance) -> dict:
    """All that was measured, ready for json.

    Args:
        cases: Of all batch sizes; those without a round are left out.
        skipped: Name and reason of what could not be run.
        accuracies: Model -> published top-1 in percent, or None.
        machine: See :func:`mvit3_bench.utils.environment.describe`.
        provenance: Where the figures are from: command, seed, date.
    """
    cases = [each for each in cases if each.rounds]
    return dict(
        machine=machine, **provenance, published_top1=accuracies, contenders=[_figures(each) for each in cases],
        ratios=list(_ratios(cases)), skipped=[dict(contender=name, reason=reason) for name, reason in skipped])


def _figures(case: Case) -> dict:
    median = case.quantile(0.5)
    return dict(
        model=case.model, owner=case.owner, mode=case.backend, dtype=case.dtype, batch=case.batch, layout=case.layout,
        deviation=case.deviation,
        median_ms=median * 1e3, p90_ms=case.quantile(0.9) * 1e3, images_per_s=case.batch / median,
        memory_mb=None if case.memory is None else case.memory / 1e6,
        calls=sum(map(len, case.rounds)), round_medians_ms=[each * 1e3 for each in case.round_medians()])


def _ratios(cases: list[Case]) -> Iterator[dict]:
    """Each of ours against its baselines (baseline / ours) and against its compute lower bound (ours / kernels)."""
    for ours in cases:
        if ours.owner != 'ours' or ours.backend == 'kernels':
            continue
        for other in cases:
            if (other.model, other.batch, other.dtype) != (ours.model, ours.batch, ours.dtype):
                continue
            if other.backend == 'kernels' and ours.backend != 'train':
                over, values = 'kernels', ratio(ours.round_medians(), other.round_medians())
            elif other.owner != 'ours' and other.backend == baseline_backend(ours.backend):
                over, values = other.owner, ratio(other.round_medians(), ours.round_medians())
            else:
                continue
            yield dict(model=ours.model, mode=ours.backend, dtype=ours.dtype, batch=ours.batch, over=over,
                       other_mode=other.backend, **dict(zip(('ratio', 'quartile_1', 'quartile_3'), values, strict=True)))


def markdown(content: dict) -> str:
    """A machine line and a table for each batch size."""
    lines = ['# Benchmark', '', line(content['machine']), '', f'`{content["command"]}`, {content["date"]}']
    for batch in sorted({each['batch'] for each in content['contenders']}):
        rows = [each for each in content['contenders'] if each['batch'] == batch and each['owner'] == 'ours']
        cells = [each for row in rows for each in _rows(row, content)]
        lines += ['', f'## Batch {batch}', '', table(cells, _COLUMNS, left=2).rstrip()]
    if content['skipped']:
        lines += ['', '## Not run', '', *(f'- {each["contender"]}: {each["reason"]}' for each in content['skipped'])]
    return '\n'.join(lines) + '\n'


def _rows(ours: dict, content: dict) -> Iterator[list[str]]:
    """The cells of a row for each baseline, or one without."""
    keys = ('model', 'batch', 'mode', 'dtype')
    ratios = [each for each in content['ratios'] if all(each[key] == ours[key] for key in keys)]
    kernels = next((_spread(each) for each in ratios if each['over'] == 'kernels'), '-')
    mode = 'compute lower bound' if ours['mode'] == 'kernels' else ours['mode']
    if ours['dtype'] != 'fp32':
        mode += f' {ours["dtype"]}'
    cells = [ours['model'], mode, _milliseconds(ours), f'{ours["images_per_s"]:.1f}', _megabytes(ours), kernels]
    baselines = [each for each in ratios if each['over'] != 'kernels']
    for each in baselines:
        wanted = dict(ours, owner=each['over'], mode=each['other_mode'])
        baseline = next(other for other in content['contenders']
                        if all(other[key] == wanted[key] for key in (*keys, 'owner')))
        name = f'{baseline["owner"]} {baseline["mode"]}' + f', {baseline["layout"]}' * bool(baseline['layout'])
        deviations = f'{ours["deviation"]:.0e}, {baseline["deviation"]:.0e}'
        yield [*cells, name, _milliseconds(baseline), _megabytes(baseline), _spread(each), deviations]
    if not baselines:
        deviation = '-' if ours['deviation'] is None else f'{ours["deviation"]:.0e}'
        yield [*cells, '-', '-', '-', '-', deviation]


def _milliseconds(figures: dict) -> str:
    return f'{figures["median_ms"]:.2f} ({figures["p90_ms"]:.2f})'


def _megabytes(figures: dict) -> str:
    return '-' if figures['memory_mb'] is None else f'{figures["memory_mb"]:.0f}'


def _spread(figures: dict) -> str:
    return f'{figures["ratio"]:.2f} [{figures["quartile_1"]:.2f}..{figures["quartile_3"]:.2f}]'


def plot(content: dict, file: Path) -> bool:
    """Draw published accuracy against measured latency, a panel for each batch size.

    Returns:
        Whether there was anything to draw, that is, a classifier with a published accuracy, run for inference.
    """
    points = [each for each in content['contenders'] if each['owner'] == 'ours' and each['mode'] in _MARKERS
              and each['dtype'] == content['contenders'][0]['dtype'] and content['published_top1'].get(each['model'])]
    batches = sorted({each['batch'] for each in points})
    if not batches:
        return False
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    figure = Figure(figsize=(6 * len(batches), 4.5), layout='constrained')
    FigureCanvasAgg(figure)
    for axis, batch in zip(figure.subplots(1, len(batches), squeeze=False)[0], batches, strict=True):
        here = [each for each in points if each['batch'] == batch]
        for mode, marker in _MARKERS.items():
            mine = [(each['median_ms'], content['published_top1'][each['model']]) for each in here if each['mode'] == mode]
            if mine:
                axis.plot(*zip(*mine, strict=True), marker, label=mode)
        for model in dict.fromkeys(each['model'] for each in here):
            latency = min(each['median_ms'] for each in here if each['model'] == model)
            axis.annotate(model, (latency, content['published_top1'][model]), textcoords='offset points', xytext=(4, 5),
                          fontsize=8)
        axis.set(xlabel=f'latency at batch {batch}, measured (ms)', ylabel='published top-1 (%)')
        axis.set_xlim(left=0)
        axis.grid(alpha=0.3)
        axis.legend()
    figure.suptitle(content['machine'].get('gpu', f'{content["machine"]["cpu"]}, threads: {content["machine"]["threads"]}'))
    figure.savefig(file, dpi=110)
    return True


def write(content: dict, folder: Path) -> list[Path]:
    """Write ``benchmark.json``, ``benchmark.md`` and, if there is anything to draw, ``benchmark.png``.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f'benchmark.{suffix}' for suffix in ('json', 'md', 'png')]
    files[0].write_text(json.dumps(content, indent=1), encoding='utf-8')
    files[1].write_text(markdown(content), encoding='utf-8')
    files[2].unlink(missing_ok=True)  # of an earlier run
    return files if plot(content, files[2]) else files[:2]
