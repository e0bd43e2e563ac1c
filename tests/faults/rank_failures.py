"""Processes of a distributed training that are killed or stopped: the others shall end with an error, and the next go on.

Linux only, as it finds the processes of a job in /proc.
"""
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from mvit3_bench import compat  # noqa: F401  which lets a checkpoint with its history be read
from mvit3_bench.checkpoints.io import read_checkpoint
from mvit3_bench.errors import CheckpointError
from mvit3_bench.utils.paths import MIM

from . import Fault

_CONFIG = MIM / 'configs' / 'seg' / 'deeplabv3_mvit3_xxs_voc2012.py'
_SETTINGS = ['train_dataloader.dataset.datasets.0.indices=6', 'train_dataloader.dataset.datasets.1.indices=6',
             'train_dataloader.batch_size=2', 'val_dataloader.dataset.indices=6', 'train_cfg.val_interval=1',
             'train_cfg.max_epochs=100000', 'default_hooks.logger.interval=1', 'param_scheduler=[]',
             'env_cfg.dist_cfg.timeout=10']
# what the log says when a moment has come
_MOMENTS = dict(training=r'Epoch\(train\) .*loss', saving=r'Saving checkpoint', evaluation=r'Epoch\(val\) .*\[\s*1/')
_START = 180  # seconds in which a job must come to its first iteration
# seconds in which it must end: torch's agent looks ten times a second and kills those that ignore it after 30 s
_END = dict(SIGKILL=30, SIGSTOP=60)


class _Job:
    """Two processes that train together in a folder, by torchrun or each by itself."""

    def __init__(self, folder: Path, starter: str, number: int):
        self.folder, self.starter = folder, starter
        self.path = folder / f'job_{number}.log'
        self.log = self.path.open('wb')
        with socket.socket() as server:
            server.bind(('127.0.0.1', 0))
            port = str(server.getsockname()[1])
        # torch's agent would take the address from the variables too
        env = {name: value for name, value in os.environ.items() if name not in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK')}
        env.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=port, OMP_NUM_THREADS='1')
        command = [str(MIM / 'tools' / 'train.py'), str(_CONFIG), '--mini', '--resume', '--work-dir', 'run', '--launcher',
                   'pytorch', '--cfg-options', *_SETTINGS]
        if starter == 'torchrun':
            torchrun = ['-m', 'torch.distributed.run', '--nproc_per_node=2', '--master_addr=127.0.0.1',
                        f'--master_port={port}']
            self.processes = [self._start([*torchrun, *command], env)]
        else:
            self.processes = [self._start(command, env | dict(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2'))
                              for rank in (0, 1)]

    def _start(self, command: list[str], env: dict) -> subprocess.Popen:
        return subprocess.Popen([sys.executable, *command], cwd=self.folder, env=env, stdout=self.log, stderr=self.log)

    def output(self) -> str:
        """What the processes have printed."""
        return self.path.read_text(errors='replace')

    def wait_for(self, pattern: str, seconds: float) -> bool:
        """Wait until the processes print something after now; False if they end before, or do not do it in time."""
        deadline, seen = time.monotonic() + seconds, len(self.output())
        while time.monotonic() < deadline and any(process.poll() is None for process in self.processes):
            if re.search(pattern, self.output()[seen:]):
                return True
            time.sleep(0.01)
        return False

    def pid(self, rank: int) -> int:
        """The process of a rank."""
        if self.starter != 'torchrun':
            return self.processes[rank].pid
        agent = self.processes[0].pid
        children = Path(f'/proc/{agent}/task/{agent}/children').read_text().split()
        return next(int(pid) for pid in children
                    if f'RANK={rank}'.encode() in Path(f'/proc/{pid}/environ').read_bytes().split(b'\0'))

    def end(self, lost: int, seconds: float) -> str | None:
        """Wait for all but the lost process to end; None if they do with an error, otherwise what was wrong."""
        deadline = time.monotonic() + seconds
        survivors = [process for process in self.processes if process.pid != lost]
        for process in survivors:
            try:
                code = process.wait(max(0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                return f'still running {seconds:.0f} s later'
            if code == 0:
                return 'ended without an error'
        return None

    def kill(self) -> None:
        """End every process that is left."""
        if self.starter == 'torchrun' and self.processes[0].poll() is None:
            for rank in (0, 1):
                os.kill(self.pid(rank), signal.SIGKILL)
        for process in self.processes:
            process.kill()
            process.wait()
        self.log.close()


def _damaged(run: Path) -> str:
    """The checkpoints of a run that cannot be read, if any; they are renamed, to count for one fault only."""
    reasons = []
    for path in sorted(run.glob('*.pth')):
        try:
            read_checkpoint(path)
        except CheckpointError as error:
            reasons.append(str(error))
            path.rename(f'{path}.damaged')
    return '; '.join(reasons)


def faults(folder: Path, count: int, seed: int) -> Iterator[Fault]:
    """Kill or stop one of two processes at random moments of one training, which each time is resumed by the next job.

    A fault is survived if the job ends with an error in time, every checkpoint can be read, and the next job goes on from
    the last one. Every fifth process is stopped (SIGSTOP), which only a timeout can notice.

    Args:
        folder: An empty folder.
        count: Number of faults; one takes about 40 s on two cores.
        seed: Decides which process, started how, is lost how long after each moment.
    """
    chance = random.Random(seed)
    starters = [starter for _ in range(count) for starter in ('torchrun', 'by hand')]
    job = _Job(folder, starters[0], 0)
    try:
        if not job.wait_for(_MOMENTS['training'], _START):
            raise RuntimeError(f'the training did not start: {job.output()[-2000:]}')
        for number in range(count):
            moment = list(_MOMENTS)[number % len(_MOMENTS)]
            name = 'SIGSTOP' if number % 5 == 4 else 'SIGKILL'
            rank, delay = chance.randrange(2), chance.uniform(0, 0.3)
            kind = f'{name} to a process, {moment}, started {starters[number]}'
            problem, seconds = _inject(job, rank, moment, delay, name)
            if problem:
                job.kill()
            problem = problem or _damaged(folder / 'run')
            saved = list((folder / 'run').glob('epoch_*.pth'))
            job = _Job(folder, starters[number + 1], number + 1)
            resumed = job.wait_for(_MOMENTS['training'], _START) and (not saved or 'resumed epoch' in job.output())
            problem = problem or ('' if resumed else 'the next job did not go on')
            yield Fault(kind, f'{number}: rank {rank} {delay:.2f} s after', 'lost' if problem else 'survived',
                        problem or f'the others ended with an error after {seconds:.1f} s, {len(saved)} checkpoints read, '
                        'resumed')
    finally:
        job.kill()


def _inject(job: _Job, rank: int, moment: str, delay: float, name: str) -> tuple[str | None, float]:
    """Wait for a moment of a job, lose a process of it, wait for its end: what was wrong, if anything, and the seconds."""
    if not job.wait_for(_MOMENTS[moment], _START):
        return f'{moment} did not come: {job.path.name} ends with {job.output().rstrip().splitlines()[-1:]}', 0.0
    time.sleep(delay)
    lost = job.pid(rank)
    os.kill(lost, getattr(signal, name))
    begin = time.monotonic()
    problem = job.end(lost, _END[name])
    seconds = time.monotonic() - begin
    if name == 'SIGSTOP' and job.starter != 'torchrun':
        os.kill(lost, signal.SIGKILL)  # nobody else would; a cluster's manager does it
    for process in job.processes:
        if problem is None:
            process.wait()
    return problem, seconds
