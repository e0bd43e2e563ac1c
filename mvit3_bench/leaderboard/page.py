"""The leaderboard as a page of Markdown with figures, made from what was published and measured."""
from pathlib import Path
from statistics import median

from ..utils.environment import line
from ..utils.text import table
from . import figure, standing
from .downstream import everything
from .fronts import COSTS, pareto_front
from .measured import ORIGINS, Row, backbones, cells, ours, rows, title
from .models import models

PAGE, FOLDER = Path('leaderboard.md'), Path('results', 'leaderboard')
NONE = '-'
_INTRODUCTION = '''# Leaderboard of light backbones

Made by `python tools/reproduce.py` from what was measured and published; do not edit.

Which light backbone for a task and a device? Every model of the table was built, counted and timed by this suite, in one
protocol. An answer within your limits, from the same figures:

```bash
mvit3 recommend --task seg --max-params 6M --max-latency 40ms --runtime onnxruntime
```

It prints the front within the limits: of parameters, of multiply-adds (`--max-flops 1G`) and of latency, with the head of
the task. With SSDLite (`--task det`) and DeepLabv3 (`--task seg`) latency was measured in ONNX Runtime alone. If nothing
meets the limits, it names the nearest miss, and the exit code is 1.'''
_OTHERS = '''The others are those of the table below, MobileViTv1 and v2 among them; models with their authors' figures
alone are not.'''
_COMPARISON = '''How much higher or lower the top-1 of the best other model with no more parameters is, and how many times as
much the cheapest other model of at least the same top-1 takes, in multiply-adds and in latency ({cell}):'''
_FRONTS = '''A front holds the models that no other beats in top-1 at the same or a lower cost; the highest top-1 comes
first, MobileViTv3 is bold. Beside it, how many times as much the cheapest other model of at least the top-1 of a
MobileViTv3 takes: lowest, median and highest.'''
_HOW = '''- **Top-1** on ImageNet-1K is published: "timm" are the weights that timm brings, tested by timm
  (results-imagenet.csv); "authors" is what a paper or its release says. `training` tells what differs from some 300
  epochs of ImageNet-1K alone, where the source tells. Distillation and thousands of epochs are worth points, and
  MobileViTv3 has had neither.
- **Parameters and multiply-adds** are counted on the built model, of one image at the model's size.
- **Latency** is the median of rounds of calls, in turn with an anchor, `{anchor}`, so that what
  else the machine does falls on both. Shown is the ratio to the anchor's, times the anchor's median over the run.
- **Heads**: the same backbone in the SSDLite and the DeepLabv3 of this suite, untrained, as latency does not depend
  on weights. The anchor is the classifier there, too.

**Another machine.** `mvit3 leaderboard --models {anchor}` measures the anchor there, and
`mvit3 recommend --anchor-latency` scales all latencies by it, which is an estimate; or `mvit3 leaderboard` measures
all models, and `mvit3 recommend --measured` reads its file:
[how to measure](benchmark.md#leaderboard-of-light-backbones).'''
_DOWNSTREAM = '''What authors have published, each with another training: to be read with its protocol, not as a ranking.
`mvit3 train CONFIG --backbone NAME` trains any backbone with one recipe ([another backbone](backbones.md)).'''


def render(measured: dict) -> dict[str, str]:
    """Path below ``docs/`` -> contents: the page and its figures.

    Args:
        measured: See :func:`mvit3_bench.leaderboard.measured.read`.
    """
    return {PAGE.as_posix(): page(measured), **{
        (FOLDER / f'{name}.svg').as_posix(): figure.svg(*panel) for name, panel in _panels(measured).items()}}


def _panels(measured: dict) -> dict[str, tuple[list[Row], str, str]]:
    """Name of a figure -> its rows, its cost, and how the axis calls it."""
    alone, found = backbones(measured), {cell: rows(measured, cell) for cell in cells(measured)}
    return dict(
        parameters=(alone, COSTS[0], 'parameters (M)'), multiply_adds=(alone, COSTS[1], 'multiply-adds (M)'),
        **{cell.replace('/', '_'): (each, COSTS[2], f'latency (ms): {title(cell)}') for cell, each in found.items()})


def page(measured: dict) -> str:
    """The page. Argument as :func:`render`."""
    panels, cell = _panels(measured), cells(measured)[0]
    return '\n'.join([
        _INTRODUCTION, '', '## Where MobileViTv3 leads, and where not', '',
        *(f'- {each}' for each in standing.sentences([(each, cost) for each, cost, _ in panels.values()])), '',
        _OTHERS, '', _COMPARISON.format(cell=title(cell)), '',
        table(standing.comparison(rows(measured, cell)), standing.COLUMNS),
        '## The fronts', '', _FRONTS, '', _fronts(panels),
        *(f'![top-1 against {label}]({FOLDER.as_posix()}/{name}.svg)\n' for name, (_, _, label) in panels.items()),
        '## All models', '', 'On the documentation site a click on a heading sorts. A dash: not measured, see below.', '',
        '<div class="sortable">', '', _table(measured), '</div>', '',
        '## How it was measured', '', _HOW.format(anchor=measured['anchor']), '',
        f'`{measured["command"]}`, {measured["date"]}; {measured["rounds"]} rounds; {line(measured["machine"])}.', '',
        "The anchor's latency over the run, in ms:", '', _spread(measured), *_skipped(measured),
        '## Published in detection and segmentation', '', _DOWNSTREAM, '', _downstream(),
        '## Not measured here', '', *_unmeasured(measured)])


def _fronts(panels: dict[str, tuple[list[Row], str, str]]) -> str:
    lines = []
    for rows_of, cost, label in panels.values():
        names = (f'**{row.model.name}**' if ours(row) else row.model.name for row in pareto_front(rows_of, [cost]))
        shares = standing.shares(rows_of, cost)
        lines.append((label, ', '.join(names), ', '.join(
            f'{each:.2f}' for each in (min(shares), median(shares), max(shares))) if shares else NONE))
    return table(lines, ('top-1 against', 'on the front', 'cheapest other, times as much'))


def _spread(measured: dict) -> str:
    keys = dict(models='models', median_ms='median', quartile_1_ms='first quartile', quartile_3_ms='third quartile',
                min_ms='lowest', max_ms='highest')
    lines = [(title(cell), *(each[key] if key == 'models' else f'{each[key]:.2f}' for key in keys))
             for cell, each in measured['anchor_spread'].items()]
    return table(lines, ('measured', *keys.values()), left=1)


def _table(measured: dict) -> str:
    """All models, the highest top-1 first; what was not measured is a dash."""
    latencies = {cell: {row.model: row.latency_ms for row in rows(measured, cell)} for cell in cells(measured)}

    def speed(cell: str, row: Row) -> str:
        batch, latency = int(cell.rpartition('/')[2]), latencies[cell].get(row.model)
        return NONE if latency is None else f'{latency:.1f}' if batch == 1 else f'{batch * 1000 / latency:.0f}'

    lines = [(row.model.name, f'`{row.model.build}`', ORIGINS[row.model.origin], row.model.protocol,
              f'{row.model.top1:.2f}', row.model.size, f'{row.parameters / 1e6:.2f}', f'{row.multiply_adds / 1e6:.0f}',
              *(speed(cell, row) for cell in latencies))
             for row in sorted(backbones(measured), key=lambda row: (-row.model.top1, row.model.name))]
    units = [f'{title(cell)} ({"ms" if cell.endswith("/1") else "images/s"})' for cell in latencies]
    return table(lines, ('model', 'name here', 'top-1 by', 'training', 'top-1 (%)', 'input', 'parameters (M)',
                         'multiply-adds (M)', *units), left=4)


def _skipped(measured: dict) -> list[str]:
    names = {each.build: each.name for each in models()}
    found = [f'- {names.get(build, build)}, {form}: {reason}' for build, each in measured['models'].items()
             for form, reason in each['skipped'].items()]
    return ['What could not be measured:', '', *found, ''] if found else []


def _downstream() -> str:
    lines = [(each.model, each.task, each.dataset, each.head, f'{each.metric} {each.value:g}', _number(each.params_M),
              _number(each.flops_M), each.protocol, each.source) for each in everything()]
    return table(lines, ('model', 'task', 'data', 'head', 'metric (%)', 'parameters (M)', 'multiply-adds (M)', 'protocol',
                         'source'))


def _unmeasured(measured: dict) -> list[str]:
    found = [each for each in models() if each.build not in measured['models']]
    buildable = sum(bool(each.build) for each in found)
    lines = [(each.name, _number(each.top1), each.size, _number(each.params_M), _number(each.flops_M), each.protocol,
              each.source) for each in found]
    return [f'With published figures. `mvit3 leaderboard` can measure {buildable} of them; {len(found) - buildable} are in '
            'neither timm nor torchvision.', '',
            table(lines, ('model', 'top-1 (%)', 'input', 'parameters (M)', 'multiply-adds (M)', 'protocol', 'source'))]


def _number(value: float | None) -> str:
    return NONE if value is None else f'{value:g}'
