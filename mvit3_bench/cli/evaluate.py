"""Evaluate every checkpoint in a folder: each is identified, converted, tested with its config and recorded."""
import argparse
import sys
from pathlib import Path

from ..errors import UsageError
from .common import RESULTS, add_cfg_options, lines

EXAMPLE = 'downloads --mini'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument('folder', type=Path,
                        help='folder of checkpoints (.pt, .pth, .safetensors), also in folders below it')
    parser.add_argument('--mini', action='store_true', help='test on the miniature data sets: does everything run?')
    parser.add_argument('--record', type=Path, metavar='DIR', default=Path(RESULTS),
                        help='the store of results (default: %(default)s)')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/evaluate_all'),
                        help='folder of the converted checkpoints and logs (default: %(default)s)')
    add_cfg_options(parser)


def main(args: argparse.Namespace) -> None:
    """Run the command."""
    from ..paper.comparison import compare
    from ..results import store as results
    from ..results.evaluation import SUFFIXES, checkpoints, evaluate
    results.read(args.record)  # a damaged store is found now, not after hours
    files = checkpoints(args.folder)
    if not files:
        raise UsageError(f'no checkpoint ({", ".join(SUFFIXES)}) in {args.folder}', args.folder)
    flags = ['--mini'] * args.mini + (['--cfg-options', *args.cfg_options] if args.cfg_options else [])
    evaluations = []
    for number, path in enumerate(files, 1):
        name = path.relative_to(args.folder).as_posix()
        print(lines(f'[{number}/{len(files)}] {name}: '), end='', flush=True)
        evaluations.append(evaluate(path, name, args.work_dir / name, args.record, flags))
        print('failed' if evaluations[-1].error else f'{evaluations[-1].config}, {evaluations[-1].result.id}', flush=True)
    print(lines(compare(evaluations)))
    if any(each.error for each in evaluations):
        sys.exit(1)
