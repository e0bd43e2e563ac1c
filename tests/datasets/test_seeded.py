"""Samples and batches that depend on the seed, the epoch and the index only."""
import random
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler
from mmengine.registry import DATASETS
from mmengine.runner import Runner
from torch.utils.data import Dataset

from mvit3_bench.datasets.multi_scale import MultiScaleBatchSampler, SizedIndex
from mvit3_bench.datasets.seeded import Numbered, SeededBatchSampler, SeededDataset, ShareSampler, seed_all, seeded


@pytest.fixture(autouse=True)
def draws():
    """A data set, registered, whose samples are an index and random numbers of every generator."""
    class Draws(Dataset):
        metainfo = dict(classes=('a',))

        def __getitem__(self, index):
            return torch.tensor([index, random.random(), np.random.rand(), torch.rand(())], dtype=torch.float64)

        def __len__(self):
            return 20

    DATASETS.register_module(module=Draws)
    yield
    DATASETS.module_dict.pop('Draws')


def loader(workers=0, **kwargs):
    """A data loader as the training loop makes it."""
    return Runner.build_dataloader(seeded(dict(
        batch_size=3, num_workers=workers, dataset=dict(type='Draws'), sampler=dict(type='DefaultSampler', shuffle=True),
        collate_fn=dict(type='default_collate'), **kwargs)), seed=5)


def epoch(loader, epoch=0, start=0, seed=5):
    """All samples of an epoch, from a batch on."""
    loader.batch_sampler.sampler.set_epoch(epoch)
    loader.batch_sampler.begin(seed, epoch, start)
    return list(loader)


@pytest.mark.parametrize('kwargs', [
    dict(), dict(drop_last=True), dict(num_batch_per_epoch=4),
    dict(batch_sampler=dict(type='mvit3_bench.MultiScaleBatchSampler', sizes=(16, 32), base_size=16))], ids=str)
def test_rest_of_an_epoch(kwargs):
    """From any batch on, with workers too, an epoch is the rest of the whole one."""
    whole = epoch(loader(**kwargs))
    assert len(whole) == len(loader(**kwargs)) > 3
    for workers, start in ((0, 0), (0, 2), (2, 1), (2, len(whole)), (0, len(whole) - 1)):
        rest = epoch(loader(workers, **kwargs), start=start)
        assert len(rest) == len(whole) - start
        assert all(torch.equal(one, other) for one, other in zip(rest, whole[start:], strict=True))


def test_persistent_workers():
    """Workers that live on draw the same as new ones."""
    living = loader(2, persistent_workers=True)
    for number in range(3):
        batches = epoch(living, number, start=number)
        expected = epoch(loader(), number, start=number)
        assert all(torch.equal(one, other) for one, other in zip(batches, expected, strict=True))


def test_all_of_them_differ():
    """Samples, epochs and seeds draw different numbers."""
    draws = torch.cat([torch.cat(epoch(loader(), *place)) for place in ((0, 0, 5), (1, 0, 5), (0, 0, 6))])[:, 1:]
    assert draws.unique().numel() == draws.numel() == 3 * 3 * 20


def test_repeated_index():
    """An index that a sampler gives twice in an epoch is augmented in two ways."""
    batches = list(SeededBatchSampler([4, 4, 1], 3))[0]
    assert [number.index for number in batches] == [4, 4, 1] and batches[0].key != batches[1].key
    assert [each.key[-1] for each in list(SeededBatchSampler([2, 5, 2, 0, 2, 5], 6))[0]] == [0, 0, 1, 0, 2, 1]


@pytest.mark.parametrize('batch_sampler', [
    None, dict(type='mvit3_bench.MultiScaleBatchSampler', sizes=(16, 32), base_size=16)], ids=['fixed', 'multi-scale'])
def test_memory_of_an_epoch(batch_sampler):
    """It takes 9 bytes for each image of the process, not a hundred: the order, and whether an image has come."""
    tracemalloc.start()
    try:
        batches = iter(SeededBatchSampler(ShareSampler(range(50_000), seed=0), 50, batch_sampler))
        for _ in range(900):
            next(batches)
        assert tracemalloc.get_traced_memory()[0] < 15 * 50_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize('kwargs', [dict(), dict(shuffle=False), dict(round_up=False)], ids=str)
@pytest.mark.parametrize('images', [1, 4, 11])
def test_indices_of_a_share(monkeypatch, images, kwargs):
    """They are those of MMEngine's sampler, which a loader's config stands for."""
    for rank in range(4):
        monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info', lambda rank=rank: (rank, 4))
        share, expected = (sampler(range(images), seed=3, **kwargs) for sampler in (ShareSampler, DefaultSampler))
        for number in range(2):
            share.set_epoch(number)
            expected.set_epoch(number)
            assert list(share) == list(expected) and all(type(index) is int for index in share)
    assert seeded(dict(dataset={}, batch_size=1, sampler=dict(type='DefaultSampler'))).sampler.type is ShareSampler


def test_data_set_is_the_one_within():
    """Attributes, length and plain indices are those of the data set itself; the index reaches it as it was."""
    dataset = SeededDataset(dict(type='Draws'))
    assert dataset.metainfo == dict(classes=('a',)) and len(dataset) == 20 and dataset[3][0] == 3
    with pytest.raises(AttributeError):
        dataset.absent  # noqa: B018
    seen = []
    dataset.dataset = type('Sees', (), dict(__getitem__=lambda self, index: seen.append(index)))()
    dataset[Numbered(SizedIndex(3, 160), (0, 0, 3, 0))]
    assert seen[0] == 3 and seen[0].size == 160


def test_sizes_pass_through():
    """The sizes of multi-scale batches are kept."""
    sampler = DefaultSampler(range(20), seed=1)
    ours = SeededBatchSampler(sampler, 3, dict(type='mvit3_bench.MultiScaleBatchSampler', sizes=(16, 32), base_size=32))
    theirs = MultiScaleBatchSampler(sampler, 3, (16, 32), 32)
    assert [[(number.index, number.index.size) for number in batch] for batch in ours] == [
        [(index, index.size) for index in batch] for batch in theirs]


def test_seeding():
    """Equal keys give equal numbers in all three generators, others do not."""
    def numbers(*key):
        seed_all(*key)
        return random.random(), np.random.rand(), float(torch.rand(()))

    assert numbers(1, 2, 3) == numbers(1, 2, 3)
    assert not set(numbers(1, 2, 3)) & (set(numbers(1, 2, 4)) | set(numbers(0, 2, 3)))


@pytest.mark.parametrize('images, ranks, round_up', [(7, 3, False), (2, 3, False), (6, 3, False), (2, 3, True)])
def test_shares_of_the_processes(monkeypatch, images, ranks, round_up):
    """A sampler that gives processes different numbers of images, fewer than ranks for instance, is refused by name."""
    from mvit3_bench.engine import loops as train_loop
    from mvit3_bench.errors import UsageError
    monkeypatch.setattr(train_loop, 'get_world_size', lambda: ranks)
    sampler = DefaultSampler(range(images), seed=0, round_up=round_up)
    loop = object.__new__(train_loop.ResumableTrainLoop)
    loop.dataloader = SimpleNamespace(dataset=range(images), batch_sampler=SeededBatchSampler(sampler, 2))
    if round_up or images % ranks == 0:
        loop._check_shares()
        return
    with pytest.raises(UsageError, match=f'round_up=False: {images} images are no multiple of {ranks} processes'):
        loop._check_shares()
