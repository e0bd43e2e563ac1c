"""Atomic checkpoints: each is written completely before older ones are removed, within an epoch, too."""
import os
import re
import time
from collections import deque
from pathlib import Path

from mmengine import hooks
from mmengine.dist import get_world_size, is_main_process
from mmengine.fileio import LocalBackend, register_backend
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from mmengine.runner import IterBasedTrainLoop

from ...checkpoints.atomic import atomic_write, remove_parts, write_text
from ...checkpoints.readable import is_readable, unreadable, without_unreadable
from ...errors import CheckpointError, DivergedError
from ...registry import HOOKS
from ...utils.text import shown
from ..loops import ResumableTrainLoop
from .check_invalid_loss import advice, not_finite

_ATOMIC = 'mvit3_bench.atomic'
_WITHIN = re.compile(r'epoch_\d+_iter_\d+\.pth')
OURS = re.compile(  # names of a run's checkpoints
    rf'{_WITHIN.pattern}|(best_.+_)?(epoch|iter)_\d+\.pth')


@register_backend(_ATOMIC)
class AtomicFileBackend(LocalBackend):
    """MMEngine's backend of the local disk with atomic writing."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write a file.

        Raises:
            WriteError: It cannot be written.
        """
        with atomic_write(filepath) as file:
            file.write(obj)


@HOOKS.register_module()
class CheckpointHook(hooks.CheckpointHook):
    """MMEngine's hook with atomic writing, so that an interruption never loses the last checkpoint.

    A checkpoint is written, then ``last_checkpoint`` names it, and only then older ones are removed; the disk needs room for
    one more than ``max_keep_ckpts``. A checkpoint with NaN or infinite weights is not written. With a
    :class:`.ResumableTrainLoop`, checkpoints hold their position within the epoch. With a loop that counts iterations, an
    ``interval`` in epochs is one in validations (``val_interval``); MMEngine goes on from any iteration, by loading the
    batches before it again. Accumulated gradients are saved in a run of one process.

    Args:
        every_minutes: Also write a checkpoint within an epoch when this many minutes have passed since the
            last one, as ``epoch_E_iter_I.pth``, which the next checkpoint replaces; None: only at the end of an epoch.
        **kwargs: As in MMEngine.

    Raises:
        CheckpointError: A run could not read again what a checkpoint would hold, apart from the notes in ``meta`` and
            ``message_hub``, which are left out.
        DivergedError: Weights or the optimiser's state are not finite.
        WriteError: A checkpoint cannot be written.
    """
    _within = 'epoch_{}_iter_{}.pth'

    def __init__(self, every_minutes: float | None = None, **kwargs):
        if not kwargs.get('file_client_args') and '://' not in str(kwargs.get('out_dir')):
            kwargs.setdefault('backend_args', dict(backend=_ATOMIC))
        super().__init__(**kwargs)
        self.every_minutes = every_minutes
        self.loop = None  # of the training, if it knows its position within the epoch
        self.counts_iterations = False  # the training's loop, for which all of it is one epoch
        self._written = None  # (epoch, iteration) of the last checkpoint
        self._is_stale = False  # the state has changed since
        self._time = time.monotonic()
        self._has_told = set()  # parts of checkpoints of which something was left out

    def before_train(self, runner) -> None:
        self.counts_iterations = isinstance(runner.train_loop, IterBasedTrainLoop)
        if self.counts_iterations and self.by_epoch:
            unit = runner.train_loop.val_interval
            self.by_epoch, self.interval, self.save_begin = False, self.interval * unit, self.save_begin * unit
            self.filename_tmpl = self.filename_tmpl.replace('epoch', 'iter')
            runner.logger.info(f'the training counts iterations: a checkpoint each {self.interval} of them')
        if 'keep_ckpt_ids' in runner.message_hub.runtime_info:  # out of a checkpoint: MMEngine deletes what they name
            kept = [each for each in runner.message_hub.get_info('keep_ckpt_ids') if isinstance(each, int)]
            runner.message_hub.update_info('keep_ckpt_ids', kept)
        super().before_train(runner)
        if isinstance(runner.train_loop, ResumableTrainLoop):
            self.loop = runner.train_loop
        if runner._resume:
            self.last_ckpt = runner.message_hub.runtime_info.get('last_ckpt')
            # its name is written again after the validation, so it has to be one of ours
            is_ours = OURS.fullmatch(Path(str(self.last_ckpt)).name)
            self._written = (runner.epoch, runner.iter) if is_ours else None
        if is_main_process() and (parts := remove_parts(runner.work_dir) + remove_parts(self.out_dir)):
            runner.logger.info(f'removed what an interrupted run left unfinished: {shown(map(str, parts))}')
        self._time = time.monotonic()

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        super().after_train_iter(runner, batch_idx, data_batch, outputs)
        if (self.every_minutes and time.monotonic() - self._time > 60 * self.every_minutes and self.can_save_within(runner)
                and not self.end_of_epoch(runner.train_dataloader, batch_idx)):
            self.save_now(runner, runner.epoch, runner.iter + 1)

    def after_val_epoch(self, runner, metrics: dict) -> None:
        if self.loop is not None:
            self.loop.validation_due = False
        self._is_stale = True
        super().after_val_epoch(runner, metrics)
        if self._is_stale and self._written == (runner.epoch, runner.iter):  # with the metrics, and as validated
            self._write(runner, Path(self.last_ckpt).name, *self._written)

    def can_save_within(self, runner) -> bool:
        """Whether a run can be resumed from a checkpoint after this iteration."""
        return self.saves_within and runner.optim_wrapper.should_update()

    @property
    def saves_within(self) -> bool:
        """Whether a run can go on from a checkpoint within an epoch."""
        return self.loop is not None or self.counts_iterations

    def save_now(self, runner, epoch: int, iteration: int) -> None:
        """Save the state after ``epoch`` epochs and ``iteration`` iterations of the run, unless it is saved already."""
        if self._written != (epoch, iteration):
            self._write(runner, self._within.format(epoch, iteration), epoch, iteration)

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        parts = {key: checkpoint[key] for key in ('state_dict', 'ema_state_dict', 'optimizer') if key in checkpoint}
        if names := not_finite(parts):
            raise DivergedError(f'{shown(names, total=True)} not finite after iteration {checkpoint["meta"]["iter"]}; '
                                'not saved', fix=advice(runner), joint='\n  ')
        if self.loop is not None:
            checkpoint['meta'].update(self.loop.position(checkpoint['meta']['epoch']))
        optim_wrapper = runner.optim_wrapper
        if (isinstance(optim_wrapper, OptimWrapper) and not optim_wrapper.should_update() and get_world_size() == 1
                and 'optimizer' in checkpoint):
            checkpoint['gradients'] = {name: parameter.grad.cpu() for name, parameter in _model(runner).named_parameters()
                                       if parameter.grad is not None}
        if not is_readable(checkpoint):
            self._leave_out_unreadable(runner, checkpoint)

    def _leave_out_unreadable(self, runner, checkpoint: dict) -> None:
        """Leave out what ``--resume`` would refuse to read; only in the notes of data sets and hooks can it be missed."""
        for part, value in checkpoint.items():
            if not (found := unreadable(value, part)):
                continue
            what = f'which no run could read again: {shown(found, total=True)}'
            fix = 'what can be: tensors, numbers, texts, and lists and dictionaries of these, with texts as keys'
            if part not in ('meta', 'message_hub'):
                raise CheckpointError(f'not saved, because of parts of the checkpoint {what}', part, fix, '\n  ')
            checkpoint[part] = without_unreadable(value)
            if part not in self._has_told:
                runner.logger.warning(f'left out of the checkpoints, {what}\n  {fix}')
                self._has_told.add(part)

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        if not runner._resume:
            return
        if isinstance(runner.train_loop, ResumableTrainLoop):
            runner.train_loop.go_to(checkpoint)
        parameters = dict(_model(runner).named_parameters())
        for name, gradient in checkpoint.get('gradients', {}).items():
            parameters[name].grad = gradient.to(parameters[name])

    def _save_checkpoint_with_step(self, runner, step: int, meta: dict) -> None:
        kept = []
        if self.max_keep_ckpts > 0:
            kept = [other for other in self.keep_ckpt_ids if other != step] + [step]
            # those to go stay on the list: should this process end before they are gone, MMEngine removes them on resuming
            runner.message_hub.update_info('keep_ckpt_ids', kept)
        self._write(runner, self.filename_tmpl.format(step), meta['epoch'], meta['iter'])
        for outdated in kept[:-self.max_keep_ckpts]:
            self._remove(self._path(self.filename_tmpl.format(outdated)))
        if kept:
            self.keep_ckpt_ids = deque(kept, self.max_keep_ckpts)

    def _save_best_checkpoint(self, runner, metrics: dict) -> None:
        before = self._best()
        self._set_best(dict.fromkeys(before))  # MMEngine would remove these before the new one is written
        super()._save_best_checkpoint(runner, metrics)
        after = {key: path or before.get(key) for key, path in self._best().items()}
        self._set_best(after)
        for key, path in before.items():
            # the path may come out of a checkpoint: of it only the name counts, and only of a file in this run's folder
            if path and path != after[key] and self._remove(self._path(Path(str(path)).name)):
                runner.logger.info(f'The previous best checkpoint {path} is removed')

    def _best(self) -> dict:
        """The path of the best checkpoint for each metric."""
        if not self.save_best:
            return {}
        return dict(self.best_ckpt_path_dict) if len(self.key_indicators) > 1 else {'': self.best_ckpt_path}

    def _set_best(self, paths: dict) -> None:
        if '' in paths:
            self.best_ckpt_path = paths['']
        elif paths:
            self.best_ckpt_path_dict = paths

    def _write(self, runner, name: str, epoch: int, iteration: int) -> None:
        """Write a checkpoint and its name to ``last_checkpoint``, and remove the one within an epoch that it replaces."""
        before, self.last_ckpt = self.last_ckpt, self._path(name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        try:
            runner.save_checkpoint(
                self.out_dir, name, self.file_client_args, save_optimizer=self.save_optimizer,
                save_param_scheduler=self.save_param_scheduler, meta=dict(epoch=epoch, iter=iteration),
                by_epoch=self.by_epoch, backend_args=self.backend_args, **self.args)
        except Exception:
            self.last_ckpt = before
            runner.message_hub.update_info('last_ckpt', before)
            raise
        self._written, self._is_stale, self._time = (epoch, iteration), False, time.monotonic()
        if not is_main_process():
            return
        write_text(os.path.join(runner.work_dir, 'last_checkpoint'), self.last_ckpt)
        for other in list(self.file_backend.list_dir_or_file(self.out_dir, list_dir=False, suffix='.pth')):
            if _WITHIN.fullmatch(Path(other).name) and other != name:
                self._remove(self._path(other))

    def _path(self, name: str) -> str:
        return self.file_backend.join_path(self.out_dir, name)

    def _remove(self, path: str) -> bool:
        """Remove a checkpoint that such a run has written; whether it was there. Other names are left alone."""
        if not (is_main_process() and OURS.fullmatch(Path(path).name) and self.file_backend.isfile(path)):
            return False
        self.file_backend.remove(path)
        return True


def _model(runner):
    return runner.model.module if is_model_wrapper(runner.model) else runner.model
