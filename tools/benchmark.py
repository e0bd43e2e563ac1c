"""Latency, throughput and memory of models in each form that they can run in, beside the same models of other packages."""
import argparse
import datetime
import itertools
import shlex
import sys
from pathlib import Path

import torch
from mmengine.utils import ProgressBar

from mvit3_bench.analysis import machine, report
from mvit3_bench.analysis.contenders import Contender, Deviates, plan, prepare
from mvit3_bench.analysis.modes import DTYPES, MODES, RUNTIMES, Skipped
from mvit3_bench.analysis.peers import PEERS, require
from mvit3_bench.analysis.subjects import Subject, build_subjects
from mvit3_bench.analysis.timing import measure
from mvit3_bench.deploy.export import require as require_export
from mvit3_bench.engine import cli

PAPER = [Path(__file__).parents[1] / 'configs' / 'cls' / f'mvit3_{arch}_in1k.py'
         for arch in ('xxs', 'xxs_l2', 'xs', 'xs_l2', 's', 's_l2')]
SEED = 0


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog='example: python tools/benchmark.py configs/cls/mvit1_s_in1k.py --peers timm mmpretrain')
    parser.add_argument('configs', nargs='*', metavar='CONFIG', help='config files')
    parser.add_argument('--paper', action='store_true',
                        help="the protocol of MobileViTv3's latency table: XXS, XS, S and their L2 variants, batch 1 and "
                             '100, the model as it is; other flags override parts of it')
    parser.add_argument('--batch-sizes', type=int, nargs='+', metavar='N', help='images in a call (default: 1)')
    parser.add_argument('--modes', nargs='+', choices=[mode for mode in MODES if mode != 'kernels'], metavar='MODE',
                        help='of %(choices)s (default: all that the device has)')
    parser.add_argument('--peers', nargs='+', choices=PEERS, default=[], help='packages to compare with (default: none)')
    cli.add_shape(parser)
    parser.add_argument('--rounds', type=int, default=15, help='blocks of calls of each contender (default: %(default)s)')
    parser.add_argument('--threads', type=int, help='threads on the CPU (default: those that torch takes)')
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cpu', help='where to run (default: %(default)s)')
    parser.add_argument('--dtypes', nargs='+', choices=DTYPES, default=['fp32'], help='number formats (default: fp32)')
    parser.add_argument('--kernels', action='store_true',
                        help="time matrix products and convolutions alone, too: with torch's kernels no form can be faster")
    parser.add_argument('--out', type=Path, default=Path('work_dirs/benchmark'), metavar='DIR',
                        help='folder of benchmark.json, .md and .png (default: %(default)s)')
    return parser.parse_args()


def complete(args: argparse.Namespace) -> None:
    """Check the arguments, and fill in those that were not given.

    Raises:
        UsageError: One is not possible, or a package is missing.
    """
    args.configs = args.configs or (list(map(str, PAPER)) if args.paper else [])
    args.batch_sizes = args.batch_sizes or ([1, 100] if args.paper else [1])
    args.threads = torch.get_num_threads() if args.threads is None else args.threads
    foreign = RUNTIMES if args.device == 'cuda' else ('graphs',)
    args.modes = args.modes or (['eager'] if args.paper else [each for each in MODES if each not in (*foreign, 'kernels')])
    if not args.configs:
        raise cli.UsageError('no config given; allowed: one or more config files, or --paper')
    for name, values in (('--batch-sizes', args.batch_sizes), ('--rounds', [args.rounds]), ('--threads', [args.threads]),
                         ('--shape', args.shape or [1])):
        if min(values) < 1 or (name == '--shape' and len(values) > 2):
            raise cli.UsageError(f'{name} {" ".join(map(str, values))} is not possible; allowed: '
                                 + ('one or two ' if name == '--shape' else '') + 'whole numbers from 1')
    for mode in set(args.modes) & set(foreign):
        raise cli.UsageError(f'--modes {mode} is not possible with --device {args.device}')
    cli.check_device(args.device)
    with cli.user_errors(ImportError):
        for mode in set(args.modes) & set(RUNTIMES):
            require_export(mode.replace('runtime', ''))
        for peer in args.peers:
            require(peer)


def build(args: argparse.Namespace) -> dict[str, list[Subject]]:
    """Config -> our network, then its peers."""
    subjects = {}
    shape = (*args.shape, *args.shape)[:2] if args.shape else None
    for path in args.configs:
        cfg = cli.read_config(path)
        with cli.user_errors(ValueError, KeyError, TypeError):
            subjects[path] = build_subjects(path, cfg, args.peers, shape, SEED)
        missing = set(args.peers) - {each.owner for each in subjects[path]}
        if missing:
            print(f'{Path(path).stem}: no such model in {", ".join(sorted(missing))}')
    return subjects


def say(text: str) -> None:
    print(text, flush=True)


def run(subjects: dict[str, list[Subject]], args: argparse.Namespace, contenders: list[Contender],
        skipped: list[tuple[str, str]]) -> None:
    """Time everything, one batch size after the other; what is measured is appended to ``contenders`` and ``skipped``."""
    device = torch.device(args.device)
    inference = [mode for mode in args.modes if mode != 'train'] + ['kernels'] * args.kernels
    training = [mode for mode in args.modes if mode == 'train']
    # Training comes last: the memory that it leaves to the process would make large maps cheap to allocate, by which it
    # halves the time of some networks; a process of inference alone has no such memory.
    for modes, batch in itertools.product(filter(None, (inference, training)), args.batch_sizes):
        mine = []
        for networks in subjects.values():
            for each in prepare(networks, plan(modes, args.dtypes), batch, device, SEED, say):
                if isinstance(each, Contender):
                    mine.append(each)
                else:
                    skipped.append(each)
                    say(f'  not run: {each[1]}')
        contenders += mine
        say(f'batch {batch}: {len(mine)} contenders, {args.rounds} rounds')
        bar = ProgressBar(args.rounds * len(mine))
        measure(mine, args.rounds, SEED, device, bar.update)
        say('')
        for each in mine:
            each.call = None  # lets go of its memory


def main():
    args = parse_args()
    complete(args)
    torch.set_num_threads(args.threads)
    subjects = build(args)
    contenders, skipped = [], []
    try:
        with cli.user_errors(Deviates, Skipped, ValueError):
            run(subjects, args, contenders, skipped)
    except KeyboardInterrupt:
        print('\ninterrupted: what was measured until now is written')
    if not any(each.rounds for each in contenders):
        raise cli.UsageError('nothing was measured')
    content = report.report(
        contenders, skipped, {Path(path).stem: report.published_top1(path) for path in subjects},
        machine.describe(torch.device(args.device)), command=shlex.join(['python', *sys.argv]), seed=SEED,
        date=datetime.date.today().isoformat())
    files = report.write(content, args.out)
    print(files[1].read_text(encoding='utf-8'))
    print(*files, sep='\n')


if __name__ == '__main__':
    cli.run(main)
