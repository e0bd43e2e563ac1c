"""The learning rate of the published recipes: a warm-up, then a cosine."""
import math

from mmengine.optim import _ParamScheduler, scheduler
from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin

from ..errors import UsageError
from ..registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class WarmupCosineLR(LRSchedulerMixin, _ParamScheduler):
    """A warm-up by iterations, then a cosine by epochs, as in the published training.

    In iteration i and epoch e, both counted from 0, of a training of E epochs, with a warm-up of W iterations::

        i < W:      base * (start + (1 - start) * i / W)
        otherwise:  base * (eta + (1 - eta) * (1 + cos(pi * e / E)) / 2)

    The cosine is constant within an epoch and counts from the start of the training: after a warm-up longer than an epoch
    the rate drops to the cosine's value. In the last epoch the minimum is not reached; from epoch E on the rate is the
    minimum. ``base`` is the rate of each group of parameters, so a multiplier scales its whole curve. The rate is rounded
    to 8 decimals, as there.

    The rate is a closed form of the iteration. It replaces what another scheduler did to the learning rate before.

    Args:
        optimizer: The optimiser.
        end: E, the number of epochs of the training.
        epoch_length: Number of iterations in an epoch; :meth:`begin_epoch` sets it anew where epochs differ.
        warmup_iters: W.
        warmup_start_factor: ``start``, the first rate as a share of ``base``.
        eta_min_ratio: ``eta``, the minimum as a share of ``base``.
        by_epoch: True in a config, where ``end`` counts epochs; the scheduler itself steps by iterations.
        **kwargs: ``last_step`` and ``verbose`` as in MMEngine.

    Raises:
        UsageError: The warm-up is not shorter than the training, or the number of iterations in an epoch is not given.
    """

    def __init__(self, optimizer, *, end: int, epoch_length: int | None = None, warmup_iters: int = 0,
                 warmup_start_factor: float = 1.0, eta_min_ratio: float = 0.0, by_epoch: bool = True, **kwargs):
        if not by_epoch or epoch_length is None:
            raise UsageError('param_scheduler: mvit3_bench.WarmupCosineLR needs by_epoch=True and '
                             'convert_to_iter_based=True', 'param_scheduler')
        if warmup_iters >= end * epoch_length:
            raise UsageError(f'param_scheduler: a warm-up of {warmup_iters} iterations leaves nothing of {end} epochs of '
                             f'{epoch_length} batches, which are {end * epoch_length}', 'param_scheduler',
                             'set a shorter one as `warmup_iters` of WarmupCosineLR')
        self.epochs = end
        self.epoch_length = epoch_length
        self.warmup_iters = warmup_iters
        self.warmup_start_factor = warmup_start_factor
        self.eta_min_ratio = eta_min_ratio
        self.epoch, self.epoch_start = 0, 0  # an epoch and its first iteration
        super().__init__(optimizer, by_epoch=False, **kwargs)

    @classmethod
    def build_iter_from_epoch(cls, *args, **kwargs) -> 'WarmupCosineLR':
        """Build it from a config with ``convert_to_iter_based=True``; the arguments are those of the class."""
        return cls(*args, **kwargs)

    def begin_epoch(self, epoch: int, done: int, length: int) -> None:
        """Say where the schedule is, and set the rates that belong there.

        Without being told, epochs are as long as the one before.

        Args:
            epoch: The epoch that begins or goes on.
            done: Number of its iterations that are done.
            length: Number of its iterations.
        """
        self.epoch, self.epoch_start, self.epoch_length = epoch, self._global_step - done, length
        for group, value in zip(self.optimizer.param_groups, self._get_value(), strict=True):
            group[self.param_name] = value
        self._last_value = self._get_value()

    def load_state_dict(self, state_dict: dict) -> None:
        """Take up the state of such a scheduler.

        Raises:
            UsageError: It is that of another kind of scheduler.
        """
        if state_dict.keys() != self.state_dict().keys():
            raise UsageError('param_scheduler: the checkpoint was written with another schedule of the learning rate than '
                             'mvit3_bench.WarmupCosineLR', 'param_scheduler',
                             'resume with the config in its work dir, or start a new run with load_from')
        super().load_state_dict(state_dict)

    def _get_value(self) -> list[float]:
        return [round(self._rate(base), 8) for base in self.base_values]

    def _rate(self, base: float) -> float:
        iteration = self._global_step
        if iteration < self.warmup_iters:
            first = base * self.warmup_start_factor
            return first + iteration * ((base - first) / self.warmup_iters)  # in this order, by which ties are rounded
        epoch = min(self.epoch + (iteration - self.epoch_start) // self.epoch_length, self.epochs)
        return base * (self.eta_min_ratio + (1 - self.eta_min_ratio) * (1 + math.cos(math.pi * epoch / self.epochs)) / 2)


@PARAM_SCHEDULERS.register_module()
class CosineAnnealingLR(scheduler.CosineAnnealingLR):
    """MMEngine's cosine, which can begin after a warm-up in iterations although it ends with an epoch.

    This was the schedule of the recipes before :class:`WarmupCosineLR`: configs in work dirs of that time have it, which can
    be tested, and resumed to the bit. The study compares both on CIFAR-10.
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
                             'end, in epochs, and warmup_iters', 'param_scheduler', 'set these', ': ')
        iterations = int(end * epoch_length)
        if warmup_iters >= iterations:
            raise UsageError(f'param_scheduler: a warm-up of {warmup_iters} iterations leaves nothing of {end} epochs of '
                             f'{epoch_length} batches, which are {iterations}', 'param_scheduler',
                             'set a shorter one, both as `end` of LinearLR and as `warmup_iters` of CosineAnnealingLR')
        return cls(*args, begin=warmup_iters, end=iterations, T_max=iterations - warmup_iters, by_epoch=False, **kwargs)
