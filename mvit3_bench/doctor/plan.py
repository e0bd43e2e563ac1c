"""The run that is examined: its config, and of its parts what can be built."""
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from mmengine.config import Config
from mmengine.logging import MMLogger
from torch import nn
from torch.utils.data import DataLoader

from ..datasets.multi_scale import MultiScaleBatchSampler


@dataclass
class Plan:
    """A run that has not started.

    Args:
        cfg: Its config, with ``--mini`` and ``--cfg-options`` applied.
        file: The config as the file has it.
        options: What ``--cfg-options`` said: dotted key -> value.
        processes: How many processes it will have on this machine.
        samples: How many samples of each data set to try.
        model: The untrained model, once it could be built.
        loaders: Name in the config -> the loader, for one process and without workers, once it could be built.
    """
    cfg: Config
    file: Config
    options: dict = field(default_factory=dict)
    processes: int = 1
    samples: int = 8
    model: nn.Module | None = None
    loaders: dict[str, DataLoader] = field(default_factory=dict)

    @property
    def iterations(self) -> int | None:
        """Iterations of the whole training, None if it is not known."""
        train = self.cfg.get('train_cfg') or {}
        if 'max_iters' in train:
            return train.max_iters
        loader = self.loaders.get('train_dataloader')
        if loader is None or 'max_epochs' not in train:
            return None
        if isinstance(loader.batch_sampler, MultiScaleBatchSampler):
            return sum(map(loader.batch_sampler.among(self.processes).length_of, range(train.max_epochs)))
        return -(-len(loader) // self.processes) * train.max_epochs or None


@contextmanager
def listening() -> Iterator[list[logging.LogRecord]]:
    """Within it, what would be logged is kept in a list, and Python's warnings are not shown."""
    records = []
    keeper = logging.Handler()
    keeper.emit = records.append
    logger = MMLogger.get_current_instance()
    before, logger.handlers = logger.handlers, [keeper]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield records
    finally:
        logger.handlers = before
