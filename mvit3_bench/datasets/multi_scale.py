"""Batches of several image sizes: the smaller the images, the more of them (MobileViT, arXiv 2110.02178, Section 3.3).

The sampler decides on the size of a batch, and the size travels with each index to where the image is cropped.
"""
import itertools
from collections.abc import Iterator

import numpy as np
from mmcv.transforms import BaseTransform, Compose
from torch.utils.data import Sampler

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
    """Batches whose size in pixels changes from one to the next; what a batch costs stays about the same.

    Every epoch consists of the same number of batches of each size, in an order drawn from the sampler's seed and epoch:
    the same on every rank and after a resume. As many batches as the data set takes are made of the sizes in turn; what
    the last one lacks comes from the start of the epoch. So an epoch sees each sample once, and a few twice.

    Args:
        sampler: MMEngine's ``DefaultSampler``, or another with ``seed`` and ``epoch`` that is as long on every rank.
        batch_size: Images in a batch of ``base_size``; others have in inverse proportion to their area.
        sizes: Width and height of the images, in pixels.
        base_size: The size that ``batch_size`` is meant at.
    """

    def __init__(self, sampler: Sampler, batch_size: int, sizes: tuple[int, ...], base_size: int):
        self.sampler = sampler
        self.batch_sizes = {size: max(1, round(batch_size * base_size**2 / size**2)) for size in sizes}
        self.plan = []  # the size of each batch, before they are shuffled
        turns, images = itertools.cycle(sizes), 0
        while images < len(sampler):
            self.plan.append(next(turns))
            images += self.batch_sizes[self.plan[-1]]

    def __iter__(self) -> Iterator[list[SizedIndex]]:
        rng = np.random.default_rng([self.sampler.seed, self.sampler.epoch])
        indices = itertools.cycle(self.sampler)
        for size in rng.permutation(self.plan).tolist():
            yield [SizedIndex(index, size) for index in itertools.islice(indices, self.batch_sizes[size])]

    def __len__(self) -> int:
        return len(self.plan)


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
