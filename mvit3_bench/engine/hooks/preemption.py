"""Save and stop on a signal, so that the run can be resumed."""
import functools
import os
import signal
import threading
from collections.abc import Callable

import torch
from mmengine.dist import all_reduce, barrier, get_world_size, is_distributed
from mmengine.hooks import EMAHook, Hook
from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop

from ...registry import HOOKS
from .checkpoint import CheckpointHook

EXIT_CODE = getattr(os, 'EX_TEMPFAIL', 75)  # not finished, may be tried again; Windows has no name for it
_SIGNALS = [getattr(signal, name) for name in ('SIGTERM', 'SIGINT', 'SIGUSR1') if hasattr(signal, name)]


class Stopped(SystemExit):
    """The training was stopped by a signal and can be resumed; ends the process with ``EXIT_CODE``."""

    def __init__(self):
        super().__init__(EXIT_CODE)


def end_together() -> None:
    """Wait for the other processes of a run, and leave their group.

    The first process writes the checkpoint: a launcher would end it as soon as another process has ended.
    """
    if is_distributed():
        barrier()
        torch.distributed.destroy_process_group()


# the second name stands in the configs of work dirs that an earlier version wrote
@HOOKS.register_module(name=['PreemptionHook', 'StopHook'])
class PreemptionHook(Hook):
    """Save and stop at the end of an iteration after SIGTERM, SIGUSR1 or SIGINT (Ctrl-C); a second SIGINT ends the process
    at once.

    The iteration is one with a step of the optimiser, the same in all processes. In a validation, a single process stops
    after the current batch, several processes stop at its end; a resumed run repeats the validation, if its loop is a
    :class:`.ResumableTrainLoop`. With MMEngine's loop by epochs, or without our :class:`.CheckpointHook`, the run stops,
    too, but the last checkpoint is that of the config's interval.

    Raises:
        Stopped: The state is saved.
    """
    priority = 'LOWEST'  # after CheckpointHook

    def __init__(self):
        self.signal = None  # the first one
        self._interrupts = 0
        self._before = {}

    def before_train(self, runner) -> None:
        """Install the signal handlers, in this process and in the workers of the data loaders."""
        if threading.current_thread() is not threading.main_thread():  # Python allows no other to do so
            return
        self.signal, self._interrupts = None, 0
        self._before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        for loop in filter(None, (runner.train_loop, runner.val_loop)):
            # launchers and terminals send signals to the whole group of processes
            loop.dataloader.worker_init_fn = functools.partial(_outlive_signals, loop.dataloader.worker_init_fn)

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        if (self.end_of_epoch(runner.train_dataloader, batch_idx) or self.is_last_train_iter(runner)
                or not runner.optim_wrapper.should_update()):
            return
        if self._is_agreed():
            self._stop(runner, runner.epoch, runner.iter + 1)

    def after_train_epoch(self, runner) -> None:
        # for a loop that counts iterations it is the end of the training
        if isinstance(runner.train_loop, EpochBasedTrainLoop) and self._is_agreed():
            self._stop(runner, runner.epoch + 1, runner.iter)

    def after_val_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        if self.signal and self._before and get_world_size() == 1:
            for hook in runner.hooks:
                if isinstance(hook, EMAHook):  # validation runs on the averaged weights
                    hook.after_val_epoch(runner)
            self._stop(runner, runner.epoch, runner.iter)

    def after_val_epoch(self, runner, metrics: dict | None = None) -> None:
        if self._before and self._is_agreed():
            self._stop(runner, runner.epoch, runner.iter)

    def after_train(self, runner) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _note(self, number: int, frame) -> None:
        self._interrupts += number == signal.SIGINT
        if self._interrupts > 1:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        if self.signal is None:
            self.signal = signal.Signals(number)
            # a log, in the middle of writing a line, may not be called again
            message = f'{self.signal.name}: stopping after this iteration; a second SIGINT (Ctrl-C) ends at once\n'
            os.write(2, message.encode())

    def _is_agreed(self) -> bool:
        """Whether any process has received a signal."""
        noted = torch.tensor(float(self.signal is not None))
        if get_world_size() > 1:
            all_reduce(noted, op='max')
        return bool(noted)

    def _stop(self, runner, epoch: int, iteration: int) -> None:
        hook = next((hook for hook in runner.hooks if isinstance(hook, CheckpointHook)), None)
        if hook is not None and hook.saves_within:
            hook.save_now(runner, epoch, iteration)
        end_together()
        self.after_train(runner)
        name = self.signal.name if self.signal else 'a signal to another process'
        last = runner.message_hub.runtime_info.get('last_ckpt')
        print_log(f'stopped by {name} after {epoch} epochs, {iteration} iterations; '
                  + (f'go on from {last} with the same command and --resume' if last else 'there is no checkpoint yet'),
                  logger='current')
        raise Stopped


def _outlive_signals(init: Callable[[int], None] | None, worker: int) -> None:
    """Keep a data loader's worker alive until the training has saved; torch's handler would end it at once."""
    for number in set(_SIGNALS) - {signal.SIGTERM}:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, 'sigwaitinfo'):  # not on macOS
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_with_training, daemon=True).start()
    if init is not None:
        init(worker)


def _end_with_training() -> None:
    """End this worker at a SIGTERM from the training process, which ends its workers in this way."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)
