"""Trainings killed at random moments and resumed: they have to end in the very bits of one that nobody disturbed."""
import itertools
import multiprocessing
import os
import random
import runpy
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.config import config

from mvit3_bench.checkpoints.io import read_file
from mvit3_bench.engine.hooks.preemption import EXIT_CODE
from mvit3_bench.errors import CheckpointError
from mvit3_bench.utils.paths import MIM

from . import Fault

# imported once, in the process that all trainings are forked from
_IMPORTED = ['mvit3_bench.compat', *(f'{package}.{module}' for package in ('mmpretrain', 'mmdet', 'mmseg')
                                     for module in ('datasets', 'models', 'evaluation', 'engine', 'visualization')),
             'mvit3_bench.mmlab', 'mvit3_bench.engine.run_config', 'mvit3_bench.engine.hooks.preemption']
_PATIENCE = 300  # seconds for what takes a few
_KILLS = 5  # of one training, at most
_WORKERS = [(), (), ('train_dataloader.num_workers=2',),
            ('train_dataloader.num_workers=2', 'train_dataloader.persistent_workers=True')]


@dataclass(frozen=True)
class Task:
    """A training of seconds: a config, and what makes it short."""
    config: str
    options: tuple[str, ...]
    iterations: int


_SHORT = ('train_cfg.val_interval=1', 'default_hooks.logger.interval=1', 'default_hooks.checkpoint.every_minutes=0.02',
          'randomness.seed=1')
TASKS = dict(
    classification=Task('cls/mvit3_xxs_in1k.py', (
        *_SHORT, 'train_dataloader.dataset.indices=24', 'train_dataloader.batch_size=4', 'val_dataloader.dataset.indices=8',
        'train_cfg.max_epochs=4'), iterations=4 * 5),
    detection=Task('det/ssdlite_mvit3_xxs_coco.py', (
        *_SHORT, 'train_dataloader.dataset.indices=12', 'train_dataloader.batch_size=3', 'val_dataloader.dataset.indices=8',
        'train_cfg.max_epochs=4'), iterations=4 * 4),
    segmentation=Task('seg/deeplabv3_mvit3_xxs_voc2012.py', (
        *_SHORT, *(f'train_dataloader.dataset.datasets.{part}.indices=6' for part in (0, 1)),
        'train_dataloader.batch_size=3', 'val_dataloader.dataset.indices=3', 'train_cfg.max_epochs=4'), iterations=4 * 4))


def unequal(left, right, name: str = '') -> list[str]:
    """Where two trees of dictionaries, lists, tensors and plain values differ in any bit, as names of their parts."""
    if isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor):
        return [] if left.dtype == right.dtype and torch.equal(left, right) else [name]
    if isinstance(left, dict) and isinstance(right, dict) and left.keys() == right.keys():
        pairs = [(key, left[key], right[key]) for key in left]
    elif isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)) and len(left) == len(right):
        pairs = zip(itertools.count(), left, right, strict=False)
    else:
        return [] if type(left) is type(right) and left == right else [name]
    return [part for key, one, other in pairs for part in unequal(one, other, f'{name}.{key}' if name else str(key))]


def outcome_of(work_dir: Path) -> dict:
    """What has to be equal: weights, averaged weights, optimiser, schedules and the history of the loss and the metrics."""
    checkpoint = read_file((work_dir / 'last_checkpoint').read_text())
    history = checkpoint['message_hub']['log_scalars']
    return dict(
        {key: checkpoint[key] for key in ('state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers')},
        place={key: checkpoint['meta'][key] for key in ('epoch', 'iter', 'batches_done', 'validation_due')},
        history={key: history[key].data[0].tolist() for key in history if 'time' not in key and 'memory' not in key},
        best=float(checkpoint['message_hub']['runtime_info'].get('best_score', 'nan')).hex())


class Training:
    """A process that trains one of the tasks, forked where the frameworks are imported already."""

    def __init__(self, task: Task, folder: Path, name: str, *flags: str, options: tuple[str, ...] = ()):
        self.output = folder / f'{name}.txt'
        self.output.unlink(missing_ok=True)
        arguments = ['train', str(MIM / 'configs' / task.config), '--mini', '--work-dir', name, *flags,
                     '--cfg-options', *task.options, *options]
        context = multiprocessing.get_context('forkserver')
        context.set_forkserver_preload(_IMPORTED)
        self.process = context.Process(target=_train, args=(arguments, str(folder), str(self.output)))
        self.process.start()

    def wait_for_first_iteration(self) -> bool:
        """Whether it came to it."""
        deadline = time.monotonic() + _PATIENCE
        while self.process.is_alive() and time.monotonic() < deadline:
            if self.output.is_file() and 'Epoch(train)' in self.output.read_text():
                return True
            time.sleep(0.02)
        return False

    def end(self) -> int | None:
        """Wait for the exit code; None and killed if it takes too long."""
        self.process.join(_PATIENCE)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
            return None
        return self.process.exitcode


def _train(arguments: list[str], folder: str, output: str) -> None:
    """The body of the process: the tool as on the command line, its output into a file."""
    os.chdir(folder)
    descriptor = os.open(output, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    sys.argv = arguments
    # the layout of the config in each checkpoint takes as long as so short a training
    config.FormatCode = lambda text, **style: (text, True)
    runpy.run_path(str(MIM / 'tools' / 'train.py'), run_name='__main__')


def faults(folder: Path, count: int, seed: int) -> Iterator[Fault]:
    """Kill trainings of the three tasks in turn, ``count`` times in all, and compare how they end with a reference of each.

    Args:
        folder: Empty folder to work in.
        count: Number of kills.
        seed: Of signals, moments and numbers of workers.

    Yields:
        Each kill, when its training has ended: survived, if every checkpoint that it left can be read, the process ended as
        the signal asks, and the training ended in the bits of the reference.
    """
    rng = random.Random(seed)
    lives = {}
    for number, name in zip(itertools.count(), itertools.cycle(TASKS)):  # noqa: B905
        if count <= 0:
            return
        if name not in lives:
            lives[name] = _undisturbed(TASKS[name], folder, name)
        done = list(_chain(TASKS[name], folder, name, f'{name}_{number}', lives[name], min(count, _KILLS), rng))
        count -= len(done)
        yield from done


def _undisturbed(task: Task, folder: Path, name: str) -> float:
    """Train the reference; returns the seconds from its first iteration to its end."""
    training = Training(task, folder, name)
    training.wait_for_first_iteration()
    start = time.monotonic()
    if training.end() != 0:
        raise RuntimeError(f'the undisturbed training of {name} failed: {training.output}')
    return time.monotonic() - start


def _chain(task: Task, folder: Path, reference: str, name: str, life: float, kills: int, rng: random.Random) -> list[Fault]:
    """Kill one training up to so many times, let it end and judge."""
    killed = []
    for _ in range(kills):
        number = rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
        training = _resumed(task, folder, name, *rng.choice(_WORKERS))
        if not training.wait_for_first_iteration():
            break
        time.sleep(rng.uniform(0, life * (1 - _progress(folder / name, task))))
        if not training.process.is_alive():
            break
        os.kill(training.process.pid, number)
        code = training.end()
        if code == 0:  # the signal came when all was done
            break
        last = _last(folder / name)
        killed.append((number.name, code, f'left {last.name if last else "no checkpoint"}',
                       _complaints(folder / name, task, number, code)))
    code = _resumed(task, folder, name).end()
    differing = unequal(outcome_of(folder / reference), outcome_of(folder / name)) if code == 0 else [f'exit code {code}']
    return [Fault(f'{kind}, {reference}', f'{name}, kill {number}', 'lost' if complaint or differing else 'survived',
                  f'{place}, exit code {code}' + ''.join(f'; {text}' for text in (
                      complaint, f'ended differently: {", ".join(differing[:5])}' if differing else 'ended in the same bits')
                      if text))
            for number, (kind, code, place, complaint) in enumerate(killed)]


def _resumed(task: Task, folder: Path, name: str, *options: str) -> Training:
    return Training(task, folder, name, *(['--resume'] if (folder / name).exists() else []), options=options)


def _last(work_dir: Path) -> Path | None:
    file = work_dir / 'last_checkpoint'
    return Path(file.read_text()) if file.is_file() else None


def _progress(work_dir: Path, task: Task) -> float:
    last = _last(work_dir)
    if last is None:
        return 0.0
    meta = read_file(last)['meta']
    return (meta['iter'] - 0.5 * meta['validation_due']) / task.iterations


def _complaints(work_dir: Path, task: Task, number: signal.Signals, code: int | None) -> str:
    """What is wrong after a kill, nothing if all is well."""
    last = _last(work_dir)
    expected = -signal.SIGKILL if number == signal.SIGKILL else EXIT_CODE
    is_over = _progress(work_dir, task) == 1 and number != signal.SIGKILL  # and signals are Python's again
    complaints = [] if code == expected or is_over else [f'exit code {expected} expected']
    for file in [*work_dir.glob('*.pth'), *([last] if last else [])]:
        try:
            read_file(file)
        except (FileNotFoundError, CheckpointError) as error:
            complaints.append(str(error))
    return '; '.join(complaints)
