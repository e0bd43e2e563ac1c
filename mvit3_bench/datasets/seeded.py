"""Training samples that depend on nothing but the run's seed, the epoch and the index, in whatever process and order.

So there is no random state to store: the batches of an epoch can begin anywhere. The batch sampler numbers the samples, and
the data set seeds Python, numpy and torch before it loads one; what it draws in place of a broken one follows.
"""
import random
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from mmengine.config import ConfigDict
from mmengine.dataset import DefaultSampler
from mmengine.dist import get_world_size
from mmengine.registry import DATA_SAMPLERS, DATASETS
from torch.utils.data import BatchSampler, Dataset, Sampler


def seed_all(*key: int) -> None:
    """Seed the generators of Python, numpy and torch, also on GPUs in use, from numbers that are not negative."""
    words = np.random.SeedSequence(key).generate_state(8)
    random.seed(int(words[0]))
    np.random.seed(words[1:5])
    seed = int(words[5]) << 32 | int(words[6])
    torch.default_generator.manual_seed(seed)  # `torch.manual_seed` takes long where there is no GPU
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)


class Numbered(NamedTuple):
    """The index of a sample, and the numbers that its random numbers follow from."""
    index: int
    key: tuple[int, ...]


class SeededDataset(Dataset):
    """Another data set, each of whose samples is loaded with generators seeded for it; everything else is that one's.

    Args:
        dataset: The data set, as a config.
        length: How many of its samples to use, None for all.
    """

    def __init__(self, dataset: dict, length: int | None = None):
        self.dataset = DATASETS.build(dataset)
        if hasattr(self.dataset, 'full_init'):
            self.dataset.full_init()
        self.length = len(self.dataset) if length is None else length

    def __getitem__(self, number: int | Numbered):
        if isinstance(number, Numbered):
            seed_all(*number.key)
            number = number.index
        return self.dataset[number]

    def __len__(self) -> int:
        return self.length

    def __getattr__(self, name: str):
        if name == 'dataset' or name.startswith('__'):  # not there yet; or one by which torch would pass this class by
            raise AttributeError(name)
        return getattr(self.dataset, name)


class ShareSampler(DefaultSampler):
    """MMEngine's sampler, with its indices in its order; but a process keeps its share of them alone, in 8 bytes each."""

    def __iter__(self) -> Iterator[int]:
        images, generator = len(self.dataset), torch.Generator().manual_seed(self.seed + self.epoch)
        order = torch.randperm(images, generator=generator) if self.shuffle else torch.arange(images)
        places = torch.arange(self.total_size)[self.rank::self.world_size]  # beyond the last image, from the first on
        return map(int, order[places % images].numpy())


class SeededBatchSampler(Sampler):
    """Batches of :class:`Numbered` indices, from any batch of an epoch on; those before it are not loaded.

    Args:
        sampler: Sampler of the indices.
        batch_size: Images in a batch.
        batch_sampler: Config of another batch sampler to take the batches from; None for ``batch_size`` indices each.
        drop_last: Whether to leave out a last batch of fewer images; of no effect with ``batch_sampler``.
    """

    def __init__(self, sampler: Sampler, batch_size: int, batch_sampler: dict | None = None, drop_last: bool = False):
        self.sampler = sampler
        self.batch_size = batch_size
        self.batches = BatchSampler(sampler, batch_size, drop_last) if batch_sampler is None else DATA_SAMPLERS.build(
            batch_sampler, default_args=dict(sampler=sampler, batch_size=batch_size))
        self.begin(0, 0, 0)

    def begin(self, seed: int, epoch: int, start: int) -> None:
        """Say where the next iteration over the batches is: the run's seed, the epoch, and the batch to begin with."""
        self.seed, self.epoch, self.start = seed, epoch, start

    def length_of(self, epoch: int) -> int:
        """The number of batches of an epoch, all of them; it may differ from that of another epoch."""
        return self.batches.length_of(epoch) if hasattr(self.batches, 'length_of') else len(self.batches)

    def __iter__(self) -> Iterator[list[Numbered]]:
        # some samplers give an index several times in an epoch, each to be augmented in its own way: a byte says whether it
        # has come, and only what comes again is counted
        seen, turns = bytearray(), Counter()
        for number, batch in enumerate(self.batches):
            keys = []
            for index in map(int, batch):
                seen.extend(bytes(max(0, index + 1 - len(seen))))
                if seen[index]:
                    turns[index] += 1
                seen[index] = 1
                keys.append((self.seed, self.epoch, index, turns[index]))
            if number >= self.start:
                yield [Numbered(index, key) for index, key in zip(batch, keys, strict=True)]

    def __len__(self) -> int:
        return len(self.batches)


def seeded(loader: dict) -> ConfigDict:
    """The config of a data loader with both of them put in, and with :class:`ShareSampler` for MMEngine's."""
    loader = ConfigDict(loader)
    length = loader.pop('num_batch_per_epoch', None)
    if length is not None:
        length *= loader.batch_size * get_world_size()
    sampler = loader.get('sampler')
    if isinstance(sampler, dict) and sampler.type in (DefaultSampler, 'DefaultSampler', 'mmengine.DefaultSampler'):
        loader.sampler = dict(sampler, type=ShareSampler)
    return ConfigDict(
        loader,
        dataset=dict(type=SeededDataset, dataset=loader.dataset, length=length),
        batch_sampler=dict(type=SeededBatchSampler, batch_sampler=loader.get('batch_sampler'),
                           drop_last=loader.pop('drop_last', False)))
