"""Keeping the recipe's effective batch, or its learning rate in proportion, on whatever machine there is."""
from collections.abc import Iterable

from mmengine import hooks
from mmengine.config import Config, ConfigDict

from ..registry import HOOKS

_INITIAL_LEFT = 0.05  # largest share in the average at the end of a training


def _base_batch(cfg: Config) -> int:
    base = cfg.get('auto_scale_lr', {}).get('base_batch_size')
    if base is None:
        raise ValueError('the config has no auto_scale_lr.base_batch_size, the batch its learning rate is meant for')
    return base


def is_average(hook: ConfigDict) -> bool:
    """Whether the config of a hook is that of one which averages the weights: MMEngine's or ours."""
    kind = HOOKS.get(hook['type']) if isinstance(hook['type'], str) else hook['type']
    return isinstance(kind, type) and issubclass(kind, hooks.EMAHook)


def iteration_keys(scheduler: ConfigDict) -> list[str]:
    """The keys that count iterations, in the config of a scheduler."""
    keys = ('warmup_iters',) if scheduler.get('by_epoch', True) else (
        'begin', 'end', 'T_max', 'milestones', 'step_size', 'periods', 'restarts', 'total_steps')
    return [key for key in keys if scheduler.get(key) is not None]


def schedulers(cfg: Config) -> list[ConfigDict]:
    """The configs of all schedulers: a config has one, a list, one for each optimiser, or none."""
    found = cfg.get('param_scheduler') or []
    if isinstance(found, dict):
        found = [found] if 'type' in found else list(found.values())
    return [each for part in found for each in (part if isinstance(part, (list, tuple)) else [part])]


def _multiply(part: ConfigDict, keys: Iterable[str], steps: int) -> None:
    for key in keys:
        value = part[key]
        part[key] = [each * steps for each in value] if isinstance(value, (list, tuple)) else value * steps


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
    for scheduler in schedulers(cfg):
        # they count iterations, but the recipe means steps of the optimiser
        _multiply(scheduler, iteration_keys(scheduler), steps)
    if 'max_iters' in cfg.train_cfg:
        _multiply(cfg.train_cfg, [key for key in ('max_iters', 'val_begin', 'val_interval') if key in cfg.train_cfg], steps)
        if intervals := cfg.train_cfg.get('dynamic_intervals'):
            cfg.train_cfg.dynamic_intervals = [(begin * steps, interval * steps) for begin, interval in intervals]
        checkpoint = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
        if not checkpoint.get('by_epoch', True) and checkpoint.get('interval', -1) > 0:
            checkpoint.interval *= steps
    for hook in cfg.get('custom_hooks') or []:
        if is_average(hook):
            hook.interval = hook.get('interval', 1) * steps  # the average follows steps of the optimiser


def scale_lr(cfg: Config) -> None:
    """Let MMEngine scale the learning rate by the effective batch over the recipe's; ``cfg`` is changed in place."""
    base = _base_batch(cfg)
    # MMEngine does not count accumulated iterations
    cfg.auto_scale_lr.update(enable=True, base_batch_size=base / cfg.optim_wrapper.get('accumulative_counts', 1))


def check_batch(cfg: Config, processes: int) -> str | None:
    """A warning if the effective batch is not the recipe's and nothing makes up for it, None otherwise."""
    auto = cfg.get('auto_scale_lr', {})
    images, steps = cfg.train_dataloader.batch_size, cfg.optim_wrapper.get('accumulative_counts', 1)
    batch = images * processes * steps
    if auto.get('enable') or auto.get('base_batch_size', batch) == batch:
        return None
    return (f'effective batch {batch} ({images} images x {processes} processes x {steps} accumulated), but the '
            f'learning rate is meant for {auto.base_batch_size}: consider --accumulate auto or --auto-scale-lr')


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
