"""Where runs are worked on, by submitit: processes of this machine, or jobs of Slurm."""
import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import groupby
from pathlib import Path

from ..errors import UsageError, user_errors
from .file import unknown
from .job import RunJob
from .runs import Run

try:
    import submitit
except ImportError as error:
    raise UsageError('runs are started by submitit, which is not installed', 'submitit', 'pip install submitit',
                     ': ') from error

_POLL = 0.5  # seconds
_YEAR = 365 * 24 * 60  # minutes
_JOB = 'slurm_job'  # in the work dir of a run: the job that it was submitted as


class LocalQueue:
    """Runs in processes of this machine, which go on if this one is killed.

    Args:
        folder: Of submitit's files.
        jobs: How many runs work at once; cores and GPUs are shared out among them.
    """

    def __init__(self, folder: Path, jobs: int):
        self.jobs = jobs
        self.executor = submitit.LocalExecutor(folder)
        self.executor.update_parameters(timeout_min=_YEAR)
        self.gpus = _gpus()
        self.slots = {}  # run -> its place among those that work

    def start(self, waiting: Iterable[Run], running: dict[Run, submitit.Job]) -> dict[Run, submitit.Job]:
        """Start the next runs, as many as there is room for, whose source does not wait or work itself."""
        waiting, started = list(waiting), {}
        self.slots = {run: slot for run, slot in self.slots.items() if run in running}
        for run in waiting:
            if len(running) + len(started) < self.jobs and run.source not in (*waiting, *running):
                self.slots[run] = min(set(range(self.jobs)) - {*self.slots.values()})
                before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # they are told by cancel()
                try:
                    started[run] = self.executor.submit(RunJob(run, self._env(self.slots[run])))
                finally:
                    signal.signal(signal.SIGINT, before)
        return started

    def _env(self, slot: int) -> dict[str, str]:
        env = {'CUDA_VISIBLE_DEVICES': self.gpus[slot % len(self.gpus)] if self.gpus else ''}
        if self.jobs > 1 and 'OMP_NUM_THREADS' not in os.environ:
            env['OMP_NUM_THREADS'] = str(max(1, len(os.sched_getaffinity(0)) // self.jobs))
        return env

    def cancel(self, jobs: list[submitit.Job]) -> None:
        """Stop jobs, and wait until they have saved."""
        for job in jobs:
            with suppress(ProcessLookupError):
                os.kill(int(job.job_id), signal.SIGTERM)
        while not all(job.done() for job in jobs):
            time.sleep(_POLL)


def _gpus() -> list[str]:
    """The GPUs of this machine, as ``CUDA_VISIBLE_DEVICES`` names them."""
    import torch
    named = os.environ.get('CUDA_VISIBLE_DEVICES')
    return named.split(',') if named else [str(number) for number in range(torch.cuda.device_count())]


class SlurmQueue:
    """Runs as jobs of Slurm: an array, and one more for each run whose weights others begin with.

    Args:
        folder: Of submitit's files; every node has to see it.
        name: Of the jobs.
        parameters: Of ``submitit.SlurmExecutor``.
        submits: Whether jobs will be submitted; otherwise Slurm need not be there.

    Raises:
        UsageError: A parameter is unknown or impossible, or Slurm is not there.
    """

    def __init__(self, folder: Path, name: str, parameters: dict, submits: bool = True):
        try:
            self.executor = (submitit.SlurmExecutor if submits else _Anywhere)(folder)
        except RuntimeError as error:
            raise UsageError(f'--executor slurm is not possible here: {error}', '--executor',
                             'run it where srun and sbatch are; --dry-run shows the jobs anywhere') from error
        names = self.executor._equivalence_dict()
        known = {*names, *self.executor._valid_parameters()} - {'nodes', 'tasks_per_node', 'ntasks_per_node', 'num_gpus'}
        for key in parameters:
            if key not in known:
                raise unknown('slurm', key, known)
        self.parameters = dict(job_name=name) | self.executor._convert_parameters(parameters)
        with user_errors(ValueError, TypeError):
            self.executor.update_parameters(**self.parameters)

    def start(self, waiting: Iterable[Run], running: dict[Run, submitit.Job]) -> dict[Run, submitit.Job]:
        """Submit all runs, but for those whose job of an earlier call has not ended; these are taken over."""
        waiting = list(waiting)
        started = {run: job for run, job in self._earlier(waiting).items() if _lives(job)}
        for source, runs in _by_source(run for run in waiting if run not in started):
            self._after(started[source].job_id if source in started else None)
            with self.executor.batch():
                jobs = {run: self.executor.submit(RunJob(run, {})) for run in runs}
            for run, job in jobs.items():
                run.folder.mkdir(parents=True, exist_ok=True)
                (run.folder / _JOB).write_text(job.job_id, encoding='utf-8')
            started |= jobs
        return started

    def _earlier(self, runs: list[Run]) -> dict[Run, submitit.Job]:
        files = {run: run.folder / _JOB for run in runs}
        return {run: submitit.SlurmJob(self.executor.folder, file.read_text(encoding='utf-8').strip())
                for run, file in files.items() if file.is_file()}

    def _after(self, job: str | None) -> None:
        """Let what is submitted next wait for a job, whatever becomes of it."""
        conditions = [self.parameters.get('dependency'), f'afterany:{job}' if job else None]
        self.executor.update_parameters(dependency=','.join(filter(None, conditions)) or None)

    def texts(self, runs: Iterable[Run]) -> Iterator[tuple[list[Run], str]]:
        """The runs of each submission, and the file that sbatch gets."""
        runs = list(runs)
        for source, group in _by_source(runs):
            members = list(group)
            self._after(f'JOB_OF_{source.name}' if source in runs else None)
            self.executor.parameters['map_count'] = len(members) if len(members) > 1 else None
            yield members, self.executor._make_submission_file_text(self.executor._submitit_command_str, '')

    def cancel(self, jobs: list[submitit.Job]) -> None:
        """Take jobs out of the queue; those that work save first."""
        for job in jobs:
            job.cancel(check=False)


class _Anywhere(submitit.SlurmExecutor):
    """Writes submissions on a machine without Slurm."""

    @classmethod
    def name(cls) -> str:
        return 'slurm'

    @classmethod
    def affinity(cls) -> int:
        return 2


def _by_source(runs: Iterable[Run]) -> Iterator[tuple[Run | None, Iterable[Run]]]:
    runs = list(runs)
    order = list(dict.fromkeys(run.source for run in runs))
    return groupby(sorted(runs, key=lambda run: order.index(run.source)), key=lambda run: run.source)


def _lives(job: submitit.Job) -> bool:
    return not job.done() and job.state != 'UNKNOWN'


def execute(runs: Iterable[Run], queue: LocalQueue | SlurmQueue) -> Iterator[Run]:
    """Work on runs, and give each when it has ended, well or not; whoever stops before the last one cancels the others."""
    waiting, running = list(runs), {}
    try:
        while waiting or running:
            running |= queue.start(waiting, running)
            waiting = [run for run in waiting if run not in running]
            ended = [run for run, job in running.items() if job.done()]
            for run in ended:
                del running[run]
                yield run
            if not ended:
                time.sleep(_POLL)
    finally:
        if running:
            queue.cancel([*running.values()])
