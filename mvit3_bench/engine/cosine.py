"""The cosine of a learning rate that has been warmed up."""
from mmengine.optim import scheduler

from ..registry import PARAM_SCHEDULERS
from .cli import UsageError


@PARAM_SCHEDULERS.register_module()
class CosineAnnealingLR(scheduler.CosineAnnealingLR):
    """MMEngine's cosine, which can begin after a warm-up in iterations although it ends with an epoch.

    Were both to begin with the training, their product would never reach the maximum.
    """

    @classmethod
    def build_iter_from_epoch(cls, *args, end: int, epoch_length: int, warmup_iters: int = 0, by_epoch: bool = True,
                              **kwargs) -> 'CosineAnnealingLR':
        """Build it from a config with ``convert_to_iter_based=True``.

        Args:
            *args: As in MMEngine.
            end: The epoch at whose end the minimum is reached.
            epoch_length: Number of iterations in an epoch.
            warmup_iters: Number of iterations before the maximum.
            by_epoch: True: ``end`` counts epochs.
            **kwargs: ``eta_min_ratio`` and the like, as in MMEngine.

        Raises:
            UsageError: The warm-up is not shorter than the training, or ``T_max`` or ``begin`` are given.
        """
        if given := {'T_max', 'begin'} & kwargs.keys():
            raise UsageError(f'param_scheduler: {" and ".join(sorted(given))} of mvit3_bench.CosineAnnealingLR follow from '
                             'end, in epochs, and warmup_iters: set these')
        iterations = int(end * epoch_length)
        if warmup_iters >= iterations:
            raise UsageError(f'param_scheduler: a warm-up of {warmup_iters} iterations leaves nothing of {end} epochs of '
                             f'{epoch_length} batches, which are {iterations}; set a shorter one, both as `end` of LinearLR '
                             'and as `warmup_iters` of CosineAnnealingLR')
        return cls(*args, begin=warmup_iters, end=iterations, T_max=iterations - warmup_iters, by_epoch=False, **kwargs)
