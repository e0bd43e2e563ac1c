"""Train and test many runs: configs x backbones x seeds, on this machine or on Slurm.

Finished runs are not repeated, interrupted ones go on, and failures do not stop the rest. Each run is one process, on one
GPU if there is one.
"""
import argparse
import signal
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from ..errors import user_errors
from .common import INTERRUPTED, check_least, lines

EXAMPLE = 'example_mini --jobs 2'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument('file', help='file of the suite, or the name of one of this package, in configs/suite/')
    add_queue_flags(parser)
    parser.add_argument('--work-dir', type=Path, metavar='DIR', help='folder of all work dirs (default: work_dirs/NAME)')
    parser.add_argument('--results', type=Path, metavar='DIR', help='the store of results (default: results in that folder)')
    parser.add_argument('--table', action='store_true', help='write and print the table of what is done; start nothing')
    parser.add_argument('--latency', action='store_true',
                        help='when the runs are done, measure the latency of each model in ONNX Runtime, for the table; '
                             'nothing else should work on this machine then')


def add_queue_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say where and how runs work."""
    parser.add_argument('--executor', choices=['local', 'slurm'], default='local',
                        help='where the runs work: processes of this machine, or jobs of Slurm with the parameters under '
                             '"slurm" in the file (default: %(default)s)')
    parser.add_argument('--jobs', type=int, default=1, metavar='N',
                        help='runs at once on this machine, which share its cores and GPUs (default: %(default)s)')
    parser.add_argument('--mini', action='store_true', help='run on the miniature data sets: does everything run?')
    parser.add_argument('--dry-run', action='store_true',
                        help='print each run with its commands, and what sbatch would get; start nothing')


def main(args: argparse.Namespace) -> None:
    """Run the command."""
    from ..suite.file import find_suite, read_suite
    from ..suite.state import check_states, find_results
    check_least('--jobs', args.jobs)
    suite = read_suite(find_suite(args.file), args.mini, args.work_dir, args.results)
    check_states(suite.runs)
    results = find_results(suite.runs)
    waiting = [run for run in suite.runs if run.name not in results]
    if args.dry_run:
        show(suite, results, waiting, args.executor)
        return
    failed = 0 if args.table else work(suite, waiting, args)
    if args.latency:
        from ..deploy.targets import require
        from ..suite import latency
        with user_errors(ImportError):
            require('onnx')
        latency.measure(suite, lambda message: print(lines(message), flush=True))
    print(write_table(suite))
    if failed:
        sys.exit(1)


def show(suite, results: dict, waiting: list, executor: str) -> None:
    """Print what would run."""
    from ..engine.run_config import find_checkpoint
    from ..suite.runs import line
    from ..suite.state import holder
    for run in suite.runs:
        state = 'done' if run.name in results else f'running ({who})' if (who := holder(run)) else 'to do'
        checkpoint = None
        if source := run.source:
            there = source.name in results and any(source.folder.glob('*.pth'))
            checkpoint = find_checkpoint(str(source.folder)) if there else f'BEST_OF_{source.name}'
        commands = ' && '.join(map(line, (run.train(checkpoint), run.test())))
        print(lines(f'{run.name}: {state}: {commands}'))
    if executor == 'slurm':
        from ..suite.queues import SlurmQueue
        for runs, text in SlurmQueue(suite.folder / 'jobs', suite.name, suite.slurm, submits=False).texts(waiting):
            print(lines(f'\nsbatch of {", ".join(run.name for run in runs)}:\n{text}'))


def work(suite, waiting: list, args: argparse.Namespace, keep: Callable = lambda run, result: None) -> int:
    """Work on runs, a line each; how many were not done. Of each that is done, ``keep`` gets the run and its result."""
    from ..suite.queues import LocalQueue, SlurmQueue, execute
    from ..suite.state import find_results, holder
    folder = suite.folder / 'jobs'
    queue = LocalQueue(folder, args.jobs) if args.executor == 'local' else SlurmQueue(folder, suite.name, suite.slurm)
    done = len(suite.runs) - len(waiting)
    print(lines(f'{suite.name}: {len(suite.runs)} runs, {done} done; logs: {suite.folder}/RUN/suite.log'), flush=True)
    for run in waiting:
        if who := holder(run):
            print(lines(f'{run.name}: running ({who}), and waited for'), flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    failed = 0
    try:
        with closing(execute(waiting, queue)) as ended:
            for number, run in enumerate(ended, 1):
                result = find_results([run]).get(run.name)
                text = outcome(run, result)
                failed += not text.startswith('done')
                if result:
                    keep(run, result)
                print(lines(f'[{number}/{len(waiting)}] {run.name}: {text}'), flush=True)
    except KeyboardInterrupt:
        print('stopped; the same command goes on', file=sys.stderr)
        sys.exit(INTERRUPTED)
    return failed


def outcome(run, result) -> str:
    """State, score and minutes of a run that has ended."""
    from ..suite.state import read_state
    from ..suite.table import score
    state = read_state(run)
    minutes = f'{state.get("seconds", 0) / 60:.1f} min'
    if not result:
        lost = f'failed: its job ended without a word (its log: {run.folder.parent}/jobs)'
        return f'{state.get("ended") or lost}, {minutes}'
    found = score(result)
    return ', '.join(['done', *([f'{found[0]} {found[1]:.2f}'] if found else []), minutes])


def write_table(suite) -> str:
    """Write the table of a suite into its folder, and return it."""
    from ..checkpoints.atomic import write_text
    from ..suite.state import find_results
    from ..suite.table import make_table
    text = make_table(suite, find_results(suite.runs))
    write_text(suite.folder / 'table.md', text)
    return text
