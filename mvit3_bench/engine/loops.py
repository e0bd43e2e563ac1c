"""Training by epochs that can be left after any iteration and taken up there, bit by bit as if nothing had happened."""
import bisect
import logging

from mmengine.dist import get_rank, get_world_size
from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop

from ..datasets.seeded import SeededBatchSampler, seed_all, seeded
from ..errors import UsageError
from ..registry import LOOPS
from .resuming import begin_epoch, remap_scheduler_state, set_values

_ITERATIONS = 2**32 - 1  # where the keys of samples have the epoch: no iteration shares its numbers with a sample


@LOOPS.register_module()
class ResumableTrainLoop(EpochBasedTrainLoop):
    """MMEngine's loop, whose random numbers depend on the seed, the epoch, the index and the iteration only.

    Each sample is drawn from generators seeded for it (:mod:`mvit3_bench.datasets.seeded`), each iteration runs on
    generators seeded anew. A run that is resumed begins with the batch after the last one, and with the validation if that
    was due. Epochs may differ in their number of batches.

    Args:
        runner: The runner.
        dataloader: Config of the data loader.
        **kwargs: ``max_epochs``, ``val_begin``, ``val_interval``, ``dynamic_intervals`` as in MMEngine.

    Raises:
        TypeError: The data loader is no config.
        UsageError: Its sampler gives the processes different numbers of images.
    """

    def __init__(self, runner, dataloader: dict, **kwargs):
        if not isinstance(dataloader, dict):
            raise TypeError(f'{type(self).__name__} takes train_dataloader as a config, found a {type(dataloader).__name__}')
        super().__init__(runner, seeded(dataloader), **kwargs)
        self.batches_done = 0  # of the epoch
        self.validation_due = False
        self._is_remapped = False
        self._check_shares()
        self._take_up_seed()

    def _check_shares(self) -> None:
        sampler, processes = self.dataloader.batch_sampler.sampler, get_world_size()
        images = len(self.dataloader.dataset)
        if not getattr(sampler, 'round_up', True) and images % processes:
            raise UsageError(f'train_dataloader.sampler.round_up=False: {images} images are no multiple of {processes} '
                             'processes, so one would wait for ever for another', 'train_dataloader.sampler.round_up',
                             'set it to True')

    def batches_in(self, epoch: int) -> int:
        """The number of batches of an epoch."""
        return self.dataloader.batch_sampler.length_of(epoch)

    def batches_before(self, epoch: int) -> int:
        """The number of batches of all epochs before one."""
        return sum(map(self.batches_in, range(epoch)))

    def position(self, epoch: int) -> dict:
        """What a checkpoint has to know besides epoch and iteration.

        Args:
            epoch: The one that the checkpoint is in, or is at the beginning of.
        """
        return dict(batches_done=self.batches_done, batches=self.batches_in(epoch),
                    batches_before=self.batches_before(epoch), validation_due=self.validation_due,
                    max_epochs=self._max_epochs)

    def go_to(self, checkpoint: dict) -> None:
        """Take up the position of a checkpoint, before its states are loaded; one of MMEngine's is that of an epoch's end.

        With another number of batches in an epoch, because there are more processes or larger batches, the same share of
        the epoch counts as done, and the states of the schedulers become those that belong there.
        """
        position = checkpoint['meta']
        if position.get('seed') is not None:
            self._set_seed(position['seed'])
        epoch, self.batches_done = position['epoch'], position.get('batches_done', 0)
        self.validation_due = position.get('validation_due', False)
        length = self.batches_in(epoch)
        batches = position.get('batches', length)
        if (position.get('batches_before', epoch * batches), batches) != (self.batches_before(epoch), length):
            before = f'{self.batches_done} of {batches}'
            self.batches_done = self.batches_done * length // batches
            self._warn(f'an epoch has {length} batches, of which {self.batches_done} count as done: in the run that wrote '
                       f'the checkpoint it was {before}; the schedule goes on at the same share of the training, and the '
                       'run will not end in the very same weights')
            self._remap_schedulers(checkpoint)
        if (epochs := position.get('max_epochs', self._max_epochs)) != self._max_epochs:
            self._warn(f'train_cfg.max_epochs is {self._max_epochs}, and was {epochs} in the run that wrote the checkpoint: '
                       + self._effect_of(epochs))

    def _effect_of(self, epochs: int) -> str:
        """The effect on the learning rate of a checkpoint whose schedule was made for ``epochs`` epochs."""
        if self._is_remapped:
            return 'it is the schedule of this config from here on'
        if epochs < self._max_epochs:
            return f'the schedule is not stretched, after epoch {epochs} the learning rate stays as it is'
        return 'the schedule is not compressed, the training ends before the learning rate has come down'

    def _warn(self, message: str) -> None:
        print_log(message, logger='current', level=logging.WARNING)

    def _optimizers(self) -> dict:
        """The schedulers of each optimiser, by its name if there are several."""
        schedulers = self.runner.param_schedulers or []
        return schedulers if isinstance(schedulers, dict) else {'': schedulers}

    def _remap_schedulers(self, checkpoint: dict) -> None:
        states = checkpoint.get('param_schedulers') or []
        lengths = list(map(self.batches_in, range(checkpoint['meta']['epoch'] + 1)))
        remapped = {name: remap_scheduler_state(schedulers, states[name] if name else states, lengths, self.batches_done)
                   for name, schedulers in self._optimizers().items()}
        checkpoint['param_schedulers'] = remapped.get('', remapped)
        self._is_remapped = True

    def run(self):
        """Train to the last epoch.

        Returns:
            The model.
        """
        self._take_up_seed()
        self.runner.call_hook('before_train')
        self._take_up_schedule()
        self._validate_if_due()
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._validate_if_due()
        self.runner.call_hook('after_train')
        return self.runner.model

    def _take_up_seed(self) -> None:
        """Give the sampler the seed of the run, which a checkpoint may have brought after the sampler was made."""
        randomness = self.runner._randomness_cfg
        self._set_seed(self.runner.seed - (get_rank() if randomness.get('diff_rank_seed') else 0))

    def _set_seed(self, seed: int) -> None:
        self._seed = seed
        sampler = self.dataloader.batch_sampler.sampler
        if hasattr(sampler, 'seed'):
            sampler.seed = seed
        self._max_iters = self.batches_before(self._max_epochs)  # the numbers of batches may depend on the seed

    def _take_up_schedule(self) -> None:
        """Let an optimiser loaded with the rates and iterations of shorter or longer epochs be where the schedule is."""
        if self._is_remapped:
            for schedulers in self._optimizers().values():
                set_values(schedulers)
        done = self.batches_before(self._epoch) + self.batches_done
        if done != self._iter:  # then this loop's count has iterations of such epochs too
            self.runner.optim_wrapper.initialize_count_status(self.runner.model, done, self._max_iters)

    def _validate_if_due(self) -> None:
        if self.validation_due:
            self.runner.val_loop.run()
            self.validation_due = False

    def run_epoch(self) -> None:
        """Train the epoch, or the rest of it."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        batch_sampler: SeededBatchSampler = self.dataloader.batch_sampler
        batch_sampler.begin(self._seed, self._epoch, self.batches_done)
        for schedulers in self._optimizers().values():
            begin_epoch(schedulers, self._epoch, self.batches_done, self.batches_in(self._epoch))
        for index, batch in enumerate(self.dataloader, start=self.batches_done):
            self.batches_done = index + 1
            self.run_iter(index, batch)
        self.batches_done = 0
        self.validation_due = self._is_validated(self._epoch + 1)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    def run_iter(self, idx: int, data_batch) -> None:
        """One iteration, with generators seeded for it and this process: dropout, mixup and the like."""
        seed_all(self._seed, _ITERATIONS, self._iter, get_rank())
        super().run_iter(idx, data_batch)

    def _is_validated(self, epoch: int) -> bool:
        """Whether there is a validation after ``epoch`` epochs."""
        self.val_interval = self.dynamic_intervals[bisect.bisect(self.dynamic_milestones, epoch + 1) - 1]
        return (self.runner.val_loop is not None and epoch >= self.val_begin
                and (epoch % self.val_interval == 0 or epoch == self._max_epochs))
