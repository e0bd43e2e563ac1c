"""Evaluates every checkpoint in a folder: each is recognised, converted, tested with its config and recorded."""
import argparse
import sys
from pathlib import Path

from mvit3_bench.engine import cli
from mvit3_bench.engine.evaluate import SUFFIXES, checkpoints, evaluate, table
from mvit3_bench.paper import results


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog='example: python tools/evaluate_all.py downloads --mini')
    parser.add_argument('folder', type=Path, help=f'folder of checkpoints ({", ".join(SUFFIXES)}), also in folders below it')
    parser.add_argument('--mini', action='store_true', help='test on the miniature data sets: does everything run?')
    parser.add_argument('--record', type=Path, metavar='DIR', default=results.FOLDER,
                        help='the store of results (default: %(default)s)')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/evaluate_all'),
                        help='folder of the converted checkpoints and logs (default: %(default)s)')
    parser.add_argument('--cfg-options', nargs='+', metavar='KEY=VALUE', default=[],
                        help='override parts of all configs, as tools/test.py does')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    with cli.user_errors(results.ResultError):
        results.read(args.record)  # a damaged store is found now, not after hours
    files = checkpoints(args.folder)
    if not files:
        raise cli.UsageError(f'no checkpoint ({", ".join(SUFFIXES)}) in {args.folder}')
    flags = ['--mini'] * args.mini + ['--cfg-options', *args.cfg_options] * bool(args.cfg_options)
    evaluations = []
    for number, path in enumerate(files, 1):
        name = path.relative_to(args.folder).as_posix()
        print(f'[{number}/{len(files)}] {name}: ', end='', flush=True)
        evaluations.append(evaluate(path, name, args.work_dir / name, args.record, flags))
        print('failed' if evaluations[-1].error else f'{evaluations[-1].config}, {evaluations[-1].result.id}', flush=True)
    print(table(evaluations))
    if any(each.error for each in evaluations):
        sys.exit(1)


if __name__ == '__main__':
    cli.run(main)
