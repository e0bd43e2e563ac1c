"""Scheduler states of a run that is resumed with another number of batches in an epoch."""
import copy
from types import SimpleNamespace

from mmengine.optim import _ParamScheduler

from ..errors import UsageError


def remap_scheduler_state(schedulers: list[_ParamScheduler], states: list[dict], lengths: list[int],
                          batches_done: int) -> list[dict]:
    """Scheduler states for a resumed run whose epochs have another number of batches.

    The states that MMEngine saves count iterations of the run that wrote them, and so does the end in them. Each value
    depends on the one before it and on the other schedulers, so the schedule is replayed from its beginning, which takes
    some microseconds an iteration.

    Args:
        schedulers: As built for these numbers of batches.
        states: Those in the checkpoint, whose base values (with ``lr_mult``, and scaled or not) stay.
        lengths: Number of batches in each epoch that is done, and in the one after.
        batches_done: Number of those done in the latter.

    Returns:
        A state for each scheduler.

    Raises:
        UsageError: A scheduler follows a metric, which cannot be replayed.
    """
    if odd := [type(each).__name__ for each in schedulers if getattr(each, 'need_val_args', False)]:
        raise UsageError(f'param_scheduler: {odd[0]} follows a metric, so a run cannot be resumed with another number of '
                         'batches in an epoch', 'param_scheduler',
                         'keep batch size and number of processes, or start a new run with load_from', ': ')
    bases = {state['param_name']: state['base_values'] for state in states}
    groups = list(zip(*(bases.get(each.param_name, each.base_values) for each in schedulers), strict=True))
    kinds = list(dict.fromkeys(groups))  # most groups of parameters have the same rate: one stands for all
    names = [each.param_name for each in schedulers]
    optimizer = SimpleNamespace(param_groups=[dict(zip(names, kind, strict=True)) for kind in kinds], _global_step=0)
    twins = [copy.copy(each) for each in schedulers]
    for twin, values in zip(twins, zip(*kinds, strict=True), strict=True):
        optimizer.step = twin.optimizer.step  # never called; MMEngine looks for its mark on it
        vars(twin).update(optimizer=optimizer, base_values=list(values), last_step=-1, _global_step=-1)
        twin.step()
    *done, length = lengths
    for epoch, batches in enumerate(done):
        begin_epoch(twins, epoch, 0, batches)
        for _ in range(batches):
            _step(twins, by_epoch=False)
        _step(twins, by_epoch=True)
    begin_epoch(twins, len(done), 0, length)
    for _ in range(batches_done):
        _step(twins, by_epoch=False)
    places = [kinds.index(group) for group in groups]
    return [dict(twin.state_dict(), base_values=[twin.base_values[place] for place in places],
                 # the optimiser's: one that steps by epochs has not seen what the others did since
                 _last_value=[optimizer.param_groups[place][twin.param_name] for place in places]) for twin in twins]


def _step(schedulers: list[_ParamScheduler], by_epoch: bool) -> None:
    for each in schedulers:
        if each.by_epoch == by_epoch:
            each.step()


def begin_epoch(schedulers: list[_ParamScheduler], epoch: int, done: int, length: int) -> None:
    """Pass the epoch, the number of its batches that are done and its length to the schedulers that take them."""
    for each in schedulers:
        if hasattr(each, 'begin_epoch'):
            each.begin_epoch(epoch, done, length)


def set_values(schedulers: list[_ParamScheduler]) -> None:
    """Set the optimiser's values to the last values of its schedulers."""
    for each in schedulers:
        for group, value in zip(each.optimizer.param_groups, each.get_last_value(), strict=True):
            group[each.param_name] = value
