"""Run the study of the paper's claims on small real data, and write its report.

CIFAR-10, BCCD and CamVid; about a dozen hours of two cores. Finished runs are not repeated, interrupted ones go on. The
data: mvit3 prepare. Where all runs are done, --out DIR --work-dir DIR, of other folders, runs them anew.
"""
import argparse
import os
import sys
from pathlib import Path

from ..errors import MissingFileError, ResultError
from . import suite as suites
from .common import ROOT, check_checkout, check_least, lines

EXAMPLE = '--jobs 2'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    suites.add_queue_flags(parser)
    parser.add_argument('--work-dir', type=Path, metavar='DIR', help='folder of all work dirs (default: work_dirs/study)')
    parser.add_argument('--out', type=Path, metavar='DIR',
                        help='folder of results/study.md and, in results/study, of results and records (default: docs; with '
                             '--mini docs in the folder of the work dirs)')
    parser.add_argument('--report', action='store_true', help='write the report of what is done; start nothing')


def main(args: argparse.Namespace) -> None:
    """Run the command."""
    from ..study import claims, records, report
    from ..study.outcome import Outcome
    from ..suite.file import find_suite, read_suite
    from ..suite.state import check_states, find_results
    check_least('--jobs', args.jobs)
    file = find_suite(claims.SUITE)
    out = args.out or _default(read_suite(file, args.mini, args.work_dir).folder, args.mini)
    suite = read_suite(file, args.mini, args.work_dir, out / report.FOLDER)
    check_states(suite.runs)
    results = find_results(suite.runs)
    waiting = [run for run in suite.runs if run.name not in results]
    if args.dry_run:
        suites.show(suite, results, waiting, args.executor)
        return
    failed, lost = 0, []

    def keep(run, result) -> None:
        try:
            records.collect(suite, run, result)
        except ResultError as error:  # other runs go on
            lost.append(error)
            print(lines(f'{run.name}: no record: {error}'), flush=True)
    for run in suite.runs:
        if run.name in results:
            keep(run, results[run.name])
    if not args.report:
        if waiting and not args.mini:
            check_data(suite)
        failed = suites.work(suite, waiting, args, keep)
    results = find_results(suite.runs)
    for path, content in report.render(Outcome(suite, results, records.load(suite.runs, results))).items():
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        (out / path).write_text(content, encoding='utf-8')
        print(out / path)
    if failed or lost:
        sys.exit(1)


def _default(folder: Path, mini: bool) -> Path:
    """Where results and report go.

    Raises:
        UsageError: This is no checkout, which has a place for them.
    """
    if mini:
        return folder / 'docs'
    check_checkout('name a folder for them: --out DIR')
    return Path(os.path.relpath(ROOT / 'docs'))


def check_data(suite) -> None:
    """Check that the data are there.

    Raises:
        MissingFileError: A folder is not.
    """
    from ..study.recipe import data_roots
    missing = [root for root in data_roots(suite) if not Path(root).is_dir()]
    if missing:
        commands = ', '.join(f'mvit3 prepare {name}' + ' --source CLONE' * (name != 'cifar10')
                             for name in (Path(root).name for root in missing))
        raise MissingFileError(f'the study needs the data in {", ".join(missing)}, which are not there', missing[0],
                               f'{commands}; see docs/small_data.md')
