"""Runs the tests with other versions of Python, torch and OpenMMLab's packages, each stack in an environment of its own.

A stack that fails, or cannot be installed, does not keep the next one from its turn. Environments are kept in .stacks/ and
used again as long as their requirements are the same.
"""
import argparse
import os
import platform
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # this runs where the package is not installed

from mvit3_bench.analysis import support  # noqa: E402
from mvit3_bench.analysis.stacks import STACKS, NotInstalled, Stack, packages, prepare, run_tests  # noqa: E402

DEFAULT = "-m 'not slow'"


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog='example: python tools/test_stacks.py --only torch2.6 --tests "-k parity -x"')
    parser.add_argument('--only', nargs='+', choices=[stack.name for stack in STACKS], metavar='NAME', help='of %(choices)s')
    parser.add_argument('--tests', default=DEFAULT, metavar='ARGS', help='arguments of pytest, in one string '
                        '(default: "%(default)s"); one that starts with a dash is given as --tests="-k parity"')
    parser.add_argument('--list', action='store_true', help='print the stacks and end')
    parser.add_argument('--discard', action='store_true', help='remove each environment after its tests (they take 5 to '
                        '6 GB each, with the libraries that torch brings for GPUs)')
    parser.add_argument('--record', action='store_true', help=f'write the results to {support.RECORD} and {support.PAGE}')
    return parser.parse_args()


def commit() -> str:
    """The commit that is tested, with a plus sign if files differ from it; not those that results are written to."""
    def git(*args: str) -> str:
        return subprocess.run(['git', *args], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    written = [f':(exclude){path.as_posix()}' for path in (support.RECORD, support.PAGE)]
    return (git('rev-parse', '--short', 'HEAD') or 'unknown') + '+' * bool(git('status', '--porcelain', '--', '.', *written))


def run(stack: Stack, folder: Path, tests: str) -> dict:
    """What came of a stack."""
    result = dict(name=stack.name, python=stack.python)
    print(f'{stack.name}: installing, see {folder.name}/{stack.name}.install.log', flush=True)
    try:
        python = prepare(stack, ROOT, folder)
    except NotInstalled as error:
        return result | dict(reason=str(error))
    print(f'{stack.name}: testing, see {folder.name}/{stack.name}.tests.log', flush=True)
    version = subprocess.run([python, '-c', 'import platform; print(platform.python_version())'], capture_output=True,
                             text=True, check=True).stdout.strip()
    result |= dict(python=version, packages=support.relevant(packages(python)), cores=os.cpu_count(),
                   machine=platform.machine(), tests=tests)
    return result | run_tests(stack, python, ROOT, folder, shlex.split(tests))


def record(result: dict) -> None:
    """Write a result into the repository."""
    support.write(ROOT / support.RECORD, result)
    page = ROOT / support.PAGE
    page.write_text(support.render(page.read_text(encoding='utf-8'), support.read(ROOT / support.RECORD).values()),
                    encoding='utf-8')


def main() -> None:
    args = parse_args()
    if args.list:
        for stack in STACKS:
            print(f'{stack.name}: Python {stack.python}, {stack.what}: pip install {shlex.join(stack.requirements)}')
        return
    folder = ROOT / '.stacks'
    results, tested = [], commit()
    for stack in STACKS:
        if args.only and stack.name not in args.only:
            continue
        results.append(dict(run(stack, folder, args.tests), commit=tested))
        print(f'{stack.name}: {support.outcome(results[-1])}', *results[-1].get('failures', []), sep='\n  ', flush=True)
        support.write(folder / 'results.json', results[-1])
        if args.record:
            record(results[-1])
        if args.discard:
            shutil.rmtree(folder / stack.name, ignore_errors=True)
    print('', support.table(results), sep='\n')
    sys.exit(not all(map(support.passed, results)))


if __name__ == '__main__':
    main()
