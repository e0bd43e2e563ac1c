"""Keeping the recipe's effective batch, or its learning rate in proportion, on whatever machine there is."""
from collections.abc import Iterable, Iterator

from mmengine.config import Config, ConfigDict

from ..registry import type_name

# the arguments of all schedulers of OpenMMLab and of ours: those that count what the scheduler goes by, and the others
COUNTS = ('begin', 'end', 'T_max', 'step_size', 'milestones', 'periods', 'total_steps')
OTHERS = {'type', '_scope_', 'by_epoch', 'convert_to_iter_based', 'param_name', 'last_step', 'verbose', 'gamma', 'factor',
          'power', 'start_factor', 'end_factor', 'eta_min', 'eta_min_ratio', 'eta_max', 'pct_start', 'anneal_strategy',
          'div_factor', 'final_div_factor', 'three_phase', 'restart_weights', 'warmup_iters', 'warmup_start_factor'}
_INITIAL_LEFT = 0.05  # largest share in the average at the end of a training


def _base_batch(cfg: Config) -> int:
    base = (cfg.get('auto_scale_lr') or {}).get('base_batch_size')
    if base is None:
        raise ValueError('the config has no auto_scale_lr.base_batch_size, the batch its learning rate is meant for')
    return base


def is_average(hook: ConfigDict) -> bool:
    """Whether the config of a hook is that of one which averages the weights, of any scope or given as a class."""
    return type_name(hook) == 'EMAHook'


def iteration_keys(scheduler: ConfigDict) -> list[str]:
    """The keys that count iterations, in the config of a scheduler."""
    return [key for key in (COUNTS if _is_by_iterations(scheduler) else ('warmup_iters',)) if key in scheduler]


def _is_by_iterations(scheduler: ConfigDict) -> bool:
    return not scheduler.get('by_epoch', True)


def schedulers(cfg: Config) -> list[ConfigDict]:
    """The configs of all schedulers: a config has one, a list, some for each optimiser, or none."""
    found = cfg.get('param_scheduler') or []
    if isinstance(found, dict):
        found = [found] if 'type' in found else list(found.values())
    return [each for part in found for each in (part if isinstance(part, (list, tuple)) else [part])]


def accumulate(cfg: Config, count: str, processes: int) -> None:
    """Accumulate gradients over several iterations before each step of the optimiser.

    Args:
        cfg: The config; changed in place.
        count: Number of iterations, or ``'auto'`` for as many as make the recipe's batch.
        processes: Number of processes.

    Raises:
        ValueError: ``count`` is neither, or no whole number of iterations makes the recipe's batch.
    """
    batch = cfg.train_dataloader.batch_size * processes
    if count == 'auto':
        steps, rest = divmod(_base_batch(cfg), batch)
        if rest or not steps:
            raise ValueError(f'--accumulate auto: no multiple of {batch} ({cfg.train_dataloader.batch_size} images x '
                             f'{processes} processes) is the recipe\'s batch of {_base_batch(cfg)}; '
                             'change train_dataloader.batch_size, or use --auto-scale-lr')
    elif count.isdigit() and int(count):
        steps = int(count)
    else:
        raise ValueError(f"--accumulate {count} is not possible; allowed: 'auto' and whole numbers from 1")
    cfg.optim_wrapper.accumulative_counts = steps
    # they count iterations, but the recipe means steps of the optimiser
    _multiply(cfg.get('train_cfg'), ('max_iters', 'val_begin', 'val_interval', 'dynamic_intervals'), steps,
              counts='max_iters' in (cfg.get('train_cfg') or {}))
    for scheduler in schedulers(cfg):
        _stretch(scheduler, steps)
    for hook in cfg.get('custom_hooks') or []:
        if is_average(hook):
            hook.interval = hook.get('interval', 1) * steps  # one update of the average for each step of the optimiser
    checkpoints = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    _multiply(checkpoints, ('interval',), steps, counts=not checkpoints.get('by_epoch', True))


def _stretch(scheduler: ConfigDict, steps: int) -> None:
    """Stretch, in place, the schedule of a config that goes by iterations.

    Raises:
        ValueError: It has arguments that no scheduler of OpenMMLab has.
    """
    if _is_by_iterations(scheduler) and (unknown := scheduler.keys() - OTHERS - set(COUNTS)):
        raise ValueError(f'--accumulate: whether {", ".join(sorted(unknown))} of {type_name(scheduler)} in param_scheduler '
                         'count iterations is not known; set accumulative_counts of optim_wrapper, and them, by hand')
    _multiply(scheduler, iteration_keys(scheduler), steps)
    # a factor for each iteration; by epochs, too, if MMEngine converts it
    if type_name(scheduler).startswith('Exponential') and (
            _is_by_iterations(scheduler) or scheduler.get('convert_to_iter_based')):
        scheduler.gamma **= 1 / steps


def _multiply(part: ConfigDict | None, keys: Iterable[str], steps: int, counts: bool = True) -> None:
    """Multiply, in place, numbers of iterations in a part of a config, those in lists too."""
    def times(value):
        return [times(each) for each in value] if isinstance(value, (list, tuple)) else value * steps
    for key in keys if counts and part else ():
        if part.get(key) not in (None, -1):
            part[key] = times(part[key])


def scale_lr(cfg: Config) -> None:
    """Let MMEngine scale the learning rate by the effective batch over the recipe's; ``cfg`` is changed in place."""
    base = _base_batch(cfg)
    # MMEngine does not count accumulated iterations
    cfg.auto_scale_lr.update(enable=True, base_batch_size=base / cfg.optim_wrapper.get('accumulative_counts', 1))


def check_batch(cfg: Config, processes: int) -> str | None:
    """A warning if the effective batch is not the recipe's and nothing makes up for it, None otherwise."""
    auto = cfg.get('auto_scale_lr') or {}
    images, steps = cfg.train_dataloader.batch_size, cfg.optim_wrapper.get('accumulative_counts', 1)
    batch = images * processes * steps
    if auto.get('enable') or auto.get('base_batch_size', batch) == batch:
        return None
    return (f'effective batch {batch} ({images} images x {processes} processes x {steps} accumulated), but the '
            f'learning rate is meant for {auto.base_batch_size}: consider --accumulate auto or --auto-scale-lr')


def check_schedule(cfg: Config, iterations: int | None) -> Iterator[tuple[str, str]]:
    """Where the schedule of the learning rate does not end with the training.

    Args:
        cfg: The config.
        iterations: Those of the whole training; None if they are not known.

    Yields:
        What was found, and a fix.
    """
    epochs = (cfg.get('train_cfg') or {}).get('max_epochs')
    for each in schedulers(cfg):
        end, by_epoch = _end(each), each.get('by_epoch', True)
        limit, unit = (epochs, 'epochs') if by_epoch else (iterations, 'iterations')
        if end and limit and end > limit:
            yield (f'{each.type} ends after {end} {unit}, but the training has {limit}: the learning rate does not get '
                   'there', f'end={limit} or less in {each.type}, and T_max if it has one')
    # one without an end lasts as long as the training
    last = max((_end(each) or epochs or 0 for each in schedulers(cfg) if each.get('by_epoch', True)), default=0)
    if epochs and 0 < last < epochs:
        yield (f'the schedule of the learning rate is over after epoch {last}, the training has {epochs}',
               f'end={epochs} and T_max={epochs} in param_scheduler, or train_cfg.max_epochs={last}')


def _end(scheduler: ConfigDict) -> int | None:
    """When a schedule is over: at its end, or, of a cosine without one, at its lowest point."""
    return scheduler.get('end') or ('T_max' in scheduler and scheduler.get('begin', 0) + scheduler.T_max) or None


def check_average(cfg: Config, iterations: int) -> tuple[str, str] | None:
    """Whether the averaged weights keep more than 5 % of the initial ones: the average's horizon, 1 / momentum, is longer
    than a third of its updates.

    Args:
        cfg: The config.
        iterations: Those of the whole training.

    Returns:
        What was found, and a fix; None if there is no such average, or one whose momentum changes.
    """
    for number, hook in enumerate(cfg.get('custom_hooks') or []):
        if not is_average(hook) or hook.get('ema_type', 'ExponentialMovingAverage') != 'ExponentialMovingAverage':
            continue
        momentum, interval = hook.get('momentum', 2e-4), hook.get('interval', 1)
        share = (1 - momentum) ** (iterations / interval)
        if share > _INITIAL_LEFT and iterations:
            return (f'EMAHook: momentum={momentum:g} over {iterations:,} iterations: the average, which is what is tested, '
                    f'still holds {share:.0%} of the initial weights at the end',
                    f'custom_hooks.{number}.momentum={min(20 * interval / iterations, 1):.2g}')
    return None
