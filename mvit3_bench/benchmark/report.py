"""What was measured, as json, as Markdown tables and as a plot of accuracy against latency."""
import json
from collections.abc import Iterator
from pathlib import Path

from ..utils.environment import line
from ..utils.text import table
from .cases import Contender, peer_mode
from .timing import ratio

_COLUMNS = ('model', 'mode', 'ours ms (p90)', 'img/s', 'memory MB', 'times kernels', 'peer', 'peer ms (p90)',
            'peer / ours [quartiles]', 'deviation')
_MARKERS = dict(eager='o', deploy='s', compile='^', onnxruntime='D', openvino='v', graphs='P')


def report(contenders: list[Contender], skipped: list[tuple[str, str]], accuracies: dict[str, float | None],
           machine: dict, **origin) -> dict:
    """All that was measured, ready for json.

    Args:
        contenders: Of all batch sizes; those without a round are left out.
        skipped: Name and reason of what could not be run.
        accuracies: Model -> published top-1 in percent, or None.
        machine: See :func:`mvit3_bench.utils.environment.describe`.
        origin: Whatever else tells where the figures are from: command, seed, date.
    """
    contenders = [each for each in contenders if each.rounds]
    return dict(
        machine=machine, **origin, published_top1=accuracies, contenders=[_figures(each) for each in contenders],
        ratios=list(_ratios(contenders)), skipped=[dict(contender=name, reason=reason) for name, reason in skipped])


def _figures(contender: Contender) -> dict:
    median = contender.quantile(0.5)
    names = ('model', 'owner', 'mode', 'dtype', 'batch', 'layout', 'deviation')
    return {name: getattr(contender, name) for name in names} | dict(
        median_ms=median * 1e3, p90_ms=contender.quantile(0.9) * 1e3, images_per_s=contender.batch / median,
        memory_mb=None if contender.memory is None else contender.memory / 1e6,
        calls=sum(map(len, contender.rounds)), round_medians_ms=[each * 1e3 for each in contender.round_medians()])


def _ratios(contenders: list[Contender]) -> Iterator[dict]:
    """Each of ours against its peers (peer / ours) and against its kernels alone (ours / kernels)."""
    for ours in contenders:
        if ours.owner != 'ours' or ours.mode == 'kernels':
            continue
        for other in contenders:
            if (other.model, other.batch, other.dtype) != (ours.model, ours.batch, ours.dtype):
                continue
            if other.mode == 'kernels' and ours.mode != 'train':
                over, values = 'kernels', ratio(ours.round_medians(), other.round_medians())
            elif other.owner != 'ours' and other.mode == peer_mode(ours.mode):
                over, values = other.owner, ratio(other.round_medians(), ours.round_medians())
            else:
                continue
            yield dict(model=ours.model, mode=ours.mode, dtype=ours.dtype, batch=ours.batch, over=over,
                       other_mode=other.mode, **dict(zip(('ratio', 'quartile_1', 'quartile_3'), values, strict=True)))


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
    """The cells of a row for each peer, or one without."""
    keys = ('model', 'batch', 'mode', 'dtype')
    ratios = [each for each in content['ratios'] if all(each[key] == ours[key] for key in keys)]
    kernels = next((_spread(each) for each in ratios if each['over'] == 'kernels'), '-')
    mode = ('kernels alone' if ours['mode'] == 'kernels' else ours['mode']) + f' {ours["dtype"]}' * (ours['dtype'] != 'fp32')
    memory = '-' if ours['memory_mb'] is None else f'{ours["memory_mb"]:.0f}'
    cells = [ours['model'], mode, _milliseconds(ours), f'{ours["images_per_s"]:.1f}', memory, kernels]
    peers = [each for each in ratios if each['over'] != 'kernels']
    for each in peers:
        wanted = dict(ours, owner=each['over'], mode=each['other_mode'])
        peer = next(other for other in content['contenders'] if all(other[key] == wanted[key] for key in (*keys, 'owner')))
        name = f'{peer["owner"]} {peer["mode"]}' + f', {peer["layout"]}' * bool(peer['layout'])
        deviations = f'{ours["deviation"]:.0e}, {peer["deviation"]:.0e}'
        yield [*cells, name, _milliseconds(peer), _spread(each), deviations]
    if not peers:
        deviation = '-' if ours['deviation'] is None else f'{ours["deviation"]:.0e}'
        yield [*cells, '-', '-', '-', deviation]


def _milliseconds(figures: dict) -> str:
    return f'{figures["median_ms"]:.2f} ({figures["p90_ms"]:.2f})'


def _spread(figures: dict) -> str:
    return f'{figures["ratio"]:.2f} [{figures["quartile_1"]:.2f}..{figures["quartile_3"]:.2f}]'


def plot(content: dict, file: Path) -> bool:
    """Draw published accuracy against measured latency, a panel for each batch size.

    Returns:
        Whether there was anything to draw, that is, a classifier with a published accuracy, run in a mode of inference.
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
