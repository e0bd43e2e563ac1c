"""Recommend a light backbone for a task, within limits of size, cost and measured latency: the models that none beats.

Printed are, of the models within the limits, those that no other one of them beats in top-1 and in the costs that have a
limit (in latency if none has). Parameters, multiply-adds and latency are those of the model with the head of the task: the
classifier, SSDLite, or DeepLabv3. Top-1 on ImageNet is the only accuracy that is known of all backbones, and stands for the
accuracy in detection and segmentation; where a figure with the same head has been published, it stands beside it.
"""
import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..leaderboard.measured import HEADS, ORIGINS, RUNTIMES

if TYPE_CHECKING:
    from ..leaderboard.measured import Row

EXAMPLE = '--task seg --max-params 6M --max-latency 40ms --runtime onnxruntime'
# cost of a row -> flag of its limit, its name, and format, factor and unit by which it is written
COSTS = dict(parameters=('--max-params', 'parameters', '.2f', 1e6, 'M'),
             multiply_adds=('--max-flops', 'multiply-adds', '.0f', 1e6, 'M'),
             latency_ms=('--max-latency', 'latency', '.2f', 1, 'ms'))
# task -> a config of it; the last two are those that were measured, as a test compares
CONFIGS = dict(cls='cls/mvit3_s_in1k', det='det/ssdlite_mvit3_s_coco', seg='seg/deeplabv3_mvit3_s_voc2012')


def quantity(units: dict[str, float], examples: str) -> Callable[[str], float]:
    """A reader of a number with a unit.

    Args:
        units: Unit in small letters -> its factor.
        examples: For the message where it is none.
    """
    def read(word: str) -> float:
        match = re.fullmatch(r'(\d+\.?\d*|\.\d+) ?([a-z]+)', word.strip().lower())
        if not match or match[2] not in units or not float(match[1]):
            raise argparse.ArgumentTypeError(f'{word!r} is no number with a unit; for example {examples}')
        return float(match[1]) * units[match[2]]
    return read


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    count = quantity(dict(k=1e3, m=1e6, g=1e9), '6M, 1.5G or 800k')
    time = quantity(dict(us=1e-3, ms=1, s=1e3), '40ms or 0.04s')
    parser.add_argument('--task', choices=HEADS, default='cls', help='%(choices)s (default: %(default)s)')
    parser.add_argument('--max-params', dest='parameters', type=count, metavar='N', help='most parameters: 6M')
    parser.add_argument('--max-flops', dest='multiply_adds', type=count, metavar='N',
                        help='most multiply-adds of an image: 1G')
    parser.add_argument('--max-latency', dest='latency_ms', type=time, metavar='T', help='longest latency: 40ms')
    parser.add_argument('--runtime', choices=RUNTIMES, default='onnxruntime',
                        help='where latency was measured: %(choices)s (default: %(default)s)')
    parser.add_argument('--batch', type=int, default=1, help='images in a call (default: %(default)s)')
    parser.add_argument('--measured', type=Path, metavar='FILE',
                        help='what mvit3 leaderboard has measured on a machine of yours (default: the file of this package)')
    parser.add_argument('--anchor-latency', type=time, metavar='T',
                        help="the anchor's latency on a machine of yours, to which the latencies are scaled: 3.1ms")


def written(cost: str, value: float, form: str = '') -> str:
    """A cost with its unit."""
    _, _, usual, factor, unit = COSTS[cost]
    return f'{value / factor:{form or usual}}{unit}'


def cell_of(args: argparse.Namespace, measured: dict) -> str:
    """Which measurements are asked for.

    Raises:
        UsageError: There are none; the message says which there are.
    """
    from ..leaderboard.measured import cells, title
    cell = '_'.join(filter(None, (args.runtime, HEADS[args.task]))) + f'/{args.batch}'
    if cell not in cells(measured):
        raise UsageError(f'--task {args.task} --runtime {args.runtime} --batch {args.batch} was not measured', '--runtime',
                         'measured are ' + '; '.join(map(title, cells(measured))))
    return cell


def table_of(front: list['Row'], task: str) -> str:
    """The table of a front."""
    from ..leaderboard.downstream import best
    from ..utils.text import table
    metrics = dict(cls=(), det=('published mAP (%)',), seg=('published mIoU (%)',))[task]
    published = [best(HEADS[task])] * len(metrics)
    rows = [(row.model.name, f'{row.model.top1:.2f}', ORIGINS[row.model.origin],
             *(written(cost, getattr(row, cost)) for cost in COSTS),
             *(each.get(row.model.name, '-') for each in published), usable(row.model.build)) for row in front]
    columns = ('model', 'top-1 (%)', 'top-1 by', *(name for _, name, *_ in COSTS.values()), *metrics, '--backbone')
    return table(rows, columns, 'plain')


def usable(build: str) -> str:
    """The name of a model for ``--backbone``, which takes none of torchvision."""
    return '-' if build.startswith('torchvision/') else build


def misses(row: 'Row', limits: dict[str, float]) -> str:
    """By how much a row is beyond each limit that it does not keep."""
    from ..leaderboard.fronts import excess
    return ', '.join(f'{COSTS[cost][1]} {written(cost, getattr(row, cost))} instead of {written(cost, limits[cost], "g")} '
                     f'({over:.0%} more)' for cost, over in excess(row, limits).items())


def main(args: argparse.Namespace) -> None:
    """Run the command; where nothing is within the limits, the exit code is 1."""
    from ..leaderboard import fronts
    from ..leaderboard import measured as source
    measured = source.read(args.measured)
    cell = cell_of(args, measured)
    rows = source.rows(measured, cell, args.anchor_latency)
    if not rows:
        raise UsageError(f'{args.measured or source.FILE} has no model with a published top-1 in {source.title(cell)}',
                         '--measured')
    limits = {cost: limit for cost in COSTS if (limit := getattr(args, cost)) is not None}
    words = ' '.join(f'{COSTS[cost][0]} {written(cost, limit, "g")}' for cost, limit in limits.items())
    found = fronts.within(rows, limits)
    if not found:
        row = fronts.nearest(rows, limits)
        print(f'Nothing meets {words}: none of {len(rows)} models.\n'
              f'The nearest is {row.model.name}, top-1 {row.model.top1:.2f} %: {misses(row, limits)}.')
        sys.exit(1)
    front = fronts.pareto_front(found, list(limits) or ['latency_ms'])
    against = ' and '.join(COSTS[cost][1] for cost in limits) or 'latency'
    print(f'{len(found)} of {len(rows)} models are within the limits ({words or "none given"}); on their front of top-1 '
          f'against {against}:\n')
    print(table_of(front, args.task))
    print(notes(measured, cell, args))


def notes(measured: dict, cell: str, args: argparse.Namespace) -> str:
    """Where the figures are from, and how a backbone is used."""
    from ..leaderboard.measured import anchor_ms, machine, title
    if args.anchor_latency:
        where = f'scaled to a machine where the anchor, {measured["anchor"]}, takes {args.anchor_latency:g} ms'
    else:
        where = (f'{machine(measured)}, where the anchor, {measured["anchor"]}, took {anchor_ms(measured, cell):.2f} ms; '
                 '--anchor-latency scales to another machine')
    lines = [f'Latency: {title(cell)}; {where}.']
    if HEADS[args.task]:
        lines.append('Accuracy: top-1 on ImageNet stands for that of the task, which is not known of all; published figures '
                     'are with the same head, but each with the training of its authors.')
    lines.append(f'To use one: mvit3 train {CONFIGS[args.task]} --backbone NAME')
    return '\n'.join(lines)
