"""Do the settings of a config fit each other, and what the work dir already holds?"""
import logging
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from mmengine.optim import build_optim_wrapper

from ..checkpoints.io import check_fits
from ..datasets.configs import class_names
from ..engine import lr_scaling
from ..engine.options import misspelt
from ..engine.run_config import build_model, earlier_run, latest_checkpoint
from ..errors import CheckpointError
from ..utils.text import shown
from .finding import ERROR, INFO, OK, WARNING, Finding
from .plan import Plan, listening

_finding = partial(Finding, 'config')


def examine_settings(plan: Plan) -> Iterator[Finding]:
    """A config against itself and the work dir.

    Args:
        plan: The run, with its loaders where they could be built; gets its model.
    """
    yield from _options(plan)
    yield from _model(plan)
    if plan.model is not None:
        yield from _start_weights(plan)
        yield from _classes(plan)
    if plan.cfg.get('train_dataloader') is not None:
        yield from _batch(plan)
        yield from _length(plan)
        yield from _average(plan)
    yield from _work_dir(plan)


def _options(plan: Plan) -> Iterator[Finding]:
    """A key that nothing takes, which the other commands refuse."""
    for key in plan.options:
        if problem := misspelt(plan.file._cfg_dict, plan.cfg, key):
            yield _finding(f'--cfg-options {key}', ERROR, *problem)


def _model(plan: Plan) -> Iterator[Finding]:
    with listening():
        try:
            plan.model = build_model(plan.cfg)
            if plan.cfg.get('optim_wrapper'):
                build_optim_wrapper(plan.model, plan.cfg.optim_wrapper)
        except Exception as error:  # a class refuses its arguments as it likes
            part = 'model' if plan.model is None else 'optim_wrapper'
            yield _finding(part, ERROR, f'cannot be built: {type(error).__name__}: {error}', f'correct {part} in the config')
            return
    parameters = sum(parameter.numel() for parameter in plan.model.parameters())
    yield _finding('model', OK, f'{type(plan.model).__name__}, {parameters / 1e6:.2f} M parameters')


def _start_weights(plan: Plan) -> Iterator[Finding]:
    if plan.cfg.get('load_from') and not plan.cfg.get('resume'):
        yield _fit(plan, 'load_from', plan.cfg.load_from)


def _fit(plan: Plan, name: str, file: str, level: str = ERROR) -> Finding:
    if '://' in file:
        return _finding(name, INFO, f'{file} is downloaded at the start', 'without a network, name a local file')
    dataset = getattr(plan.loaders.get('train_dataloader'), 'dataset', None)
    with listening() as records:
        try:
            check_fits(plan.model, os.path.expanduser(file), any_head=name == 'load_from',
                       classes=class_names(dataset))
        except (CheckpointError, FileNotFoundError) as error:
            return _finding(name, level, str(error), 'name a checkpoint of this very model'
                            if name == 'load_from' else 'resume from an earlier one: --resume FILE')
    told = [record.getMessage() for record in records if record.levelno >= logging.WARNING]
    return _finding(name, WARNING if told else OK, '\n'.join(told) or f'{file} fits')


def _classes(plan: Plan) -> Iterator[Finding]:
    heads = {name: part.num_classes for name, part in plan.cfg.model.items()
             if name.endswith('head') and isinstance(part, dict) and part.get('num_classes')}
    for name, loader in plan.loaders.items():
        classes = class_names(loader.dataset)
        if not classes:
            continue
        wrong = {head: number for head, number in heads.items() if number != len(classes)}
        for head, number in wrong.items():
            yield _finding('classes', ERROR, f'{name} has {len(classes)} classes, model.{head}.num_classes={number}',
                           f'model.{head}.num_classes={len(classes)}')
        if heads and not wrong:
            yield _finding('classes', OK, f'{name} and {", ".join(heads)}: {len(classes)}')


def _batch(plan: Plan) -> Iterator[Finding]:
    if 'batch_size' not in plan.cfg.train_dataloader or not plan.cfg.get('optim_wrapper'):
        return
    warning = lr_scaling.check_batch(plan.cfg, plan.processes)
    if warning:
        found, _, fix = warning.rpartition(': ')
        yield _finding('batch', WARNING, found, fix + ', or --processes N here if there will be more')
    else:
        yield _finding('batch', OK, f'{plan.cfg.train_dataloader.batch_size} images x {plan.processes} processes x '
                                    f'{plan.cfg.optim_wrapper.get("accumulative_counts", 1)} accumulated')


def _length(plan: Plan) -> Iterator[Finding]:
    """Warm-up, schedule of the learning rate, and validation against the length of the training."""
    train, problems = plan.cfg.get('train_cfg') or {}, False
    epochs = train.get('max_epochs')
    for found in lr_scaling.check_schedule(plan.cfg, plan.iterations):
        problems = True
        yield _finding('schedule', WARNING, *found)
    for each in lr_scaling.schedulers(plan.cfg):
        warmup = each.get('warmup_iters', 0)
        if plan.iterations and warmup >= plan.iterations:
            problems = True
            yield _finding('schedule', ERROR, f'{each.type} warms up for {warmup} iterations, but the training has '
                                              f'{plan.iterations}', f'warmup_iters={plan.iterations // 20} in {each.type}')
    interval, whole = train.get('val_interval', 1), epochs or train.get('max_iters')
    if whole and plan.cfg.get('val_dataloader') is not None and interval > whole:
        problems = True
        yield _finding('validation', WARNING, f'train_cfg.val_interval={interval}, but the training has {whole}: no '
                                              'validation, and no best checkpoint',
                       f'train_cfg.val_interval={max(1, whole // 10)}')
    if plan.iterations is None:
        yield _finding('schedule', INFO, 'without the training data, the number of iterations is not known')
    elif not problems:
        yield _finding('schedule', OK, f'{plan.iterations:,} iterations' + (f' in {epochs} epochs' if epochs else ''))


def _average(plan: Plan) -> Iterator[Finding]:
    hooks = [hook for hook in plan.cfg.get('custom_hooks') or [] if lr_scaling.is_average(hook)]
    if not hooks or not plan.iterations:
        return
    if warning := lr_scaling.check_average(plan.cfg, plan.iterations):
        yield _finding('EMA', WARNING, *warning)
    else:
        yield _finding('EMA', OK, f'horizon of {1 / hooks[0].get("momentum", 2e-4):,.0f} updates')


def _work_dir(plan: Plan) -> Iterator[Finding]:
    folder = Path(plan.cfg.work_dir)
    if not folder.is_dir():
        yield _finding('work dir', OK, f'{folder}: new')
        return
    checkpoints, name, differing = earlier_run(plan.cfg)
    if not checkpoints:
        yield _finding('work dir', OK, f'{folder}: without checkpoints')
    elif differing:
        yield _finding('work dir', WARNING, f'{folder} has {len(checkpoints)} checkpoints of another config, {name}: '
                                            + shown(differing, total=True),
                       'another --work-dir, or remove the old run; a new run there is refused')
    else:
        yield _finding('work dir', WARNING, f'{folder} has {len(checkpoints)} checkpoints of an earlier run, which would be '
                                            'overwritten', '--resume to go on, or another --work-dir')
    latest = latest_checkpoint(folder)
    if latest and plan.model is not None:
        yield _fit(plan, 'resume', latest, ERROR if plan.cfg.get('resume') else WARNING)
