"""Batches of several image sizes: the smaller the images, the more of them (MobileViT, arXiv 2110.02178, Section 3.3).

The batches are those of the published training; only the random generator that draws the sizes is another.

The sampler decides on the size of a batch, and the size travels with each index to where the image is cropped.
"""
import copy
import itertools
from collections.abc import Iterator

import numpy as np
from mmcv.transforms import BaseTransform, Compose
from mmengine.dist import get_world_size
from torch.utils.data import Sampler

from ..models.archs import make_divisible
from ..registry import DATA_SAMPLERS, TRANSFORMS


class SizedIndex(int):
    """The index of a sample that also says how many pixels wide and high its image shall be, in ``size``."""

    def __new__(cls, index: int, size: int):
        self = super().__new__(cls, index)
        self.size = size
        return self

    def __getnewargs__(self):  # what a worker process makes it from again
        return int(self), self.size


@DATA_SAMPLERS.register_module()
class MultiScaleBatchSampler(Sampler):
    """Batches whose size in pixels changes from one to the next.

    The size of each batch is drawn independently of the others, each size with the same probability, from the sampler's
    seed and epoch: the same on every rank and after a resume. An epoch ends when its images are used up, so the number of
    batches differs from epoch to epoch; what the last batch lacks comes from the start of the epoch.

    A batch has more images the smaller they are, in inverse proportion to their area, and never fewer than ``batch_size``:
    ``max(batch_size, batch_size * base_size**2 / size**2)``, rounded to a multiple of the number of processes.

    Args:
        sampler: MMEngine's ``DefaultSampler``, or another with ``seed`` and ``epoch`` that is as long on every rank.
        batch_size: Images in a batch of ``base_size`` and of larger sizes.
        sizes: Width and height of the images, in pixels.
        base_size: The size that ``batch_size`` is meant at.
    """

    def __init__(self, sampler: Sampler, batch_size: int, sizes: tuple[int, ...], base_size: int):
        self.sampler = sampler
        self.batch_size = batch_size
        self.sizes = sizes
        self.base_size = base_size
        self._share(len(sampler), get_world_size())

    def _share(self, images: int, processes: int) -> None:
        wanted = [max(self.batch_size, int(self.batch_size * self.base_size**2 / size**2)) for size in self.sizes]
        self.images = images  # of an epoch, on this rank
        self.batch_sizes = {size: make_divisible(count, processes) for size, count in zip(self.sizes, wanted, strict=True)}

    def among(self, processes: int) -> 'MultiScaleBatchSampler':
        """The sampler of one of N processes, given that of a single process: to count batches ahead."""
        twin = copy.copy(self)
        twin._share(-(-self.images // processes), processes)
        return twin

    def sizes_of(self, epoch: int) -> list[int]:
        """The size of each batch of an epoch, until the images are used up."""
        rng = np.random.default_rng([self.sampler.seed, epoch])
        most = -(-self.images // min(self.batch_sizes.values()))
        drawn = rng.integers(len(self.sizes), size=most)
        images = np.cumsum(np.array(list(self.batch_sizes.values()))[drawn])
        number = np.searchsorted(images, self.images) + 1
        return [self.sizes[index] for index in drawn[:number]]

    def length_of(self, epoch: int) -> int:
        """The number of batches of an epoch."""
        return len(self.sizes_of(epoch))

    def __iter__(self) -> Iterator[list[SizedIndex]]:
        indices = itertools.chain.from_iterable(itertools.repeat(self.sampler))  # without a copy of an epoch
        for size in self.sizes_of(self.sampler.epoch):
            yield [SizedIndex(index, size) for index in itertools.islice(indices, self.batch_sizes[size])]

    def __len__(self) -> int:
        """The number of batches of the sampler's epoch."""
        return self.length_of(self.sampler.epoch)


@TRANSFORMS.register_module()
class MultiScale(BaseTransform):
    """Load and crop to the size of the batch, which :class:`MultiScaleBatchSampler` chose.

    A sample that the data set draws in place of a broken one has a plain index: it keeps the size of the one it replaces.
    Without such a batch sampler the crop is what its config says.

    Args:
        transforms: Transforms as configs; the first sees the sample's index, the last is a ``RandomResizedCrop``, or
            another whose ``scale`` is the (height, width) of what it returns.
    """

    def __init__(self, transforms: list[dict]):
        self.transforms = Compose(transforms)
        self.crop = self.transforms.transforms[-1]

    def transform(self, results: dict) -> dict | None:
        index = results['sample_idx']
        if isinstance(index, SizedIndex):
            self.crop.scale = (index.size, index.size)
            results['sample_idx'] = int(index)
        return self.transforms(results)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(transforms={self.transforms})'
