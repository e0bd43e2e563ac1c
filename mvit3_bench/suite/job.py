"""The job of one run: its two commands, each a process with its output in the run's log."""
import copy
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

from ..errors import error_in
from ..utils.paths import MIM
from .runs import LOG, Run, line, train_line
from .state import find_results, held, noted, read_state

STOPPED = 75  # the exit code of a training that a signal has stopped, as a test compares


class RunJob:
    """Trains and tests a run; submitit calls it in a separate process.

    A run that another process works on is waited for. Signals are passed on to the command, which saves and ends: SIGTERM
    ends the job, too; the one that submitit knows before a time limit or preemption lets it be queued again.

    Args:
        run: The run.
        env: More variables for the environment of its commands.
    """

    def __init__(self, run: Run, env: dict[str, str]):
        self.run, self.env, self.tools = run, env, MIM / 'tools'
        self.process = None
        self.stopping = False

    def __call__(self) -> None:
        signal.signal(signal.SIGTERM, self._end)
        self.run.folder.mkdir(parents=True, exist_ok=True)
        with open(self.run.folder / LOG, 'a', encoding='utf-8') as log, held(self.run, log) as (lock, waited):
            if waited and read_state(self.run).get('ended') == '':
                return
            with noted(self.run) as state:
                state['ended'] = self._train_and_test(log, lock)

    def checkpoint(self):
        """Stop the command, which saves; the job that submitit queues again."""
        from submitit.helpers import DelayedSubmission
        self._stop()
        if self.process:  # wait() is what the signal has interrupted, and can be called once only
            with suppress(ChildProcessError):
                os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)
        again = copy.copy(self)
        again.process, again.stopping = None, False
        return DelayedSubmission(again)

    def _end(self, *_) -> None:
        self._stop()
        if not self.process:  # it may wait for another one, without end
            sys.exit(STOPPED)

    def _stop(self) -> None:
        self.stopping = True
        if self.process:
            self.process.terminate()

    def _train_and_test(self, log, lock: int) -> str:
        """Why it is not done; empty if it is."""
        checkpoint = None
        if source := self.run.source:
            if not find_results([source]):
                return f'failed: {source.name}, whose weights it begins with, is not done'
            if not any(source.folder.glob('*.pth')):
                return (f'failed: the checkpoint of {source.name}, whose weights it begins with, is gone from '
                        f'{source.folder}; make it again: {train_line(source)}')
            from ..engine.run_config import epochs_done, find_checkpoint  # seconds, which other jobs need not take
            done, wanted = epochs_done(source.folder)
            if done < wanted:
                return (f'failed: {source.name}, whose weights it begins with, has trained {done} of {wanted} epochs; '
                        f'finish it: {train_line(source)}')
            checkpoint = find_checkpoint(str(source.folder))
        return self._run(self.run.train(checkpoint), log, lock) or self._run(self.run.test(), log, lock)

    def _run(self, words: list[str], log, lock: int) -> str:
        if self.stopping:
            return 'stopped'
        print(f'\n{time.strftime("%F %T")} {line(words)}', file=log, flush=True)
        start = log.tell()
        # the warning before a time limit may reach every process of a job; the command is told by SIGTERM
        self.process = subprocess.Popen(
            [sys.executable, str(self.tools / f'{words[0]}.py'), *words[1:]], stdin=subprocess.DEVNULL, stdout=log,
            stderr=subprocess.STDOUT, env=os.environ | self.env, pass_fds=[lock],
            preexec_fn=lambda: signal.signal(signal.SIGUSR2, signal.SIG_IGN))
        if self.stopping:
            self.process.terminate()
        code = self.process.wait()
        if not code:
            return ''
        if code == STOPPED or self.stopping:
            return 'stopped'
        with open(log.name, encoding='utf-8', errors='replace') as file:
            file.seek(start)
            return f'failed: {error_in(file.read()) or f"exit code {code}"} (log: {log.name})'
