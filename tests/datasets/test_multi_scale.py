"""Batches of several sizes: whole epochs, the same on every rank and after a resume, one size within a batch.

How often each size comes and how long epochs are is compared with the published sampler in test_fidelity_samplers.py.
"""
import pickle
from collections import Counter

import conftest
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import DefaultSampler
from mmengine.runner import Runner

from mvit3_bench.datasets.multi_scale import MultiScaleBatchSampler, SizedIndex

pytest.importorskip('mmpretrain', reason='mmpretrain is not installed')

CONFIG = conftest.ROOT / 'configs' / 'cls' / 'mvit3_xxs_in1k.py'
SIZES = (160, 192, 256, 288, 320)
LENGTHS = (7, 9)  # of the first epochs with seed 0, of 40 images in batches of 4


def make(monkeypatch, length=1000, rank=0, ranks=1, seed=0, epoch=0, batch_size=16) -> MultiScaleBatchSampler:
    """The sampler of one rank, at the start of an epoch."""
    monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info', lambda: (rank, ranks))
    monkeypatch.setattr('mvit3_bench.datasets.multi_scale.get_world_size', lambda: ranks)
    sampler = DefaultSampler(range(length), shuffle=True, seed=seed)
    sampler.set_epoch(epoch)
    return MultiScaleBatchSampler(sampler, batch_size, SIZES, base_size=256)


def sizes(batches) -> list[int]:
    """The size of each batch, which is the same for all its images."""
    result = []
    for batch in batches:
        size, = {index.size for index in batch}
        result.append(size)
    return result


@pytest.mark.parametrize('length', [1, 50, 1000, 1007])
@pytest.mark.parametrize('epoch', [0, 3])
def test_epoch(monkeypatch, length, epoch):
    """An epoch is as long as it says, before it begins too; it sees each sample once, and few twice."""
    sampler = make(monkeypatch, length, epoch=epoch)
    batches = list(sampler)
    assert len(batches) == len(sampler) == make(monkeypatch, length).length_of(epoch)
    assert sizes(batches) == make(monkeypatch, length).sizes_of(epoch)
    seen = Counter(int(index) for batch in batches for index in batch)
    assert set(seen) == set(range(length))
    assert seen.total() - length < len(batches[-1])  # the batches before the last do not use up the images


def test_size_of_a_batch(monkeypatch):
    """A batch has images in inverse proportion to their area, the base batch at least, in multiples of the processes."""
    assert make(monkeypatch, batch_size=64).batch_sizes == {160: 163, 192: 113, 256: 64, 288: 64, 320: 64}
    assert make(monkeypatch, batch_size=64, ranks=6).batch_sizes == {160: 162, 192: 114, 256: 66, 288: 66, 320: 66}
    assert make(monkeypatch, batch_size=1).batch_sizes[320] == 1
    assert all(len(batch) == {160: 40, 192: 28, 256: 16, 288: 16, 320: 16}[batch[0].size] for batch in make(monkeypatch))


@pytest.mark.parametrize('length', [5, 1000, 1007])
def test_counted_ahead(monkeypatch, length):
    """One process knows the batches of one of several, before there are any."""
    alone, ranks = make(monkeypatch, length, batch_size=64), make(monkeypatch, length, batch_size=64, ranks=6)
    assert [alone.among(6).sizes_of(epoch) for epoch in range(20)] == [ranks.sizes_of(epoch) for epoch in range(20)]
    assert alone.among(1).sizes_of(3) == alone.sizes_of(3)


def test_ranks_agree(monkeypatch):
    """Every rank has the same sequence of sizes, and its own share of the samples."""
    ranks = [list(make(monkeypatch, 1001, rank, 3)) for rank in range(3)]
    assert sizes(ranks[0]) == sizes(ranks[1]) == sizes(ranks[2])
    firsts = [{int(index) for index in batches[0]} for batches in ranks]
    assert not firsts[0] & firsts[1] and not firsts[1] & firsts[2] and not firsts[0] & firsts[2]


def test_seed_and_epoch_decide(monkeypatch):
    """The same seed and epoch give the same batches, as a resume needs; others give others."""
    def epoch(**kwargs):
        batches = list(make(monkeypatch, **kwargs))
        return batches, sizes(batches)

    assert epoch(epoch=3) == epoch(epoch=3)
    for other in (epoch(epoch=4), epoch(epoch=3, seed=1)):
        assert other[1] != epoch(epoch=3)[1]
    assert len({len(epoch(epoch=number)[1]) for number in range(9)}) > 1


def test_index_survives_the_way_to_a_worker():
    """Pickled, the index keeps its size, and it is an index like any other."""
    index = pickle.loads(pickle.dumps(SizedIndex(7, 160)))
    assert (index, index.size) == (7, 160) and 'abcdefgh'[index] == 'h'


@pytest.mark.parametrize('workers', [0, 2])
def test_loader(run_dir, workers):
    """Through MMEngine's loader, with workers too, images come in the batch's size; so does one in place of a broken one."""
    from mvit3_bench.engine.mini import to_mini
    cfg = to_mini(Config.fromfile(CONFIG))
    files = sorted((run_dir / 'data' / 'mini' / 'imagenet' / 'train').rglob('*.JPEG'))
    broken = run_dir / 'meta.txt'
    broken.write_text(''.join(f'{file.relative_to(file.parents[1])} 0\nabsent.JPEG 0\n' for file in files[:60]))
    loader = cfg.train_dataloader
    loader.num_workers = workers
    loader.dataset.update(ann_file=str(broken), _scope_='mmpretrain')
    loader.dataset.pipeline[0].transforms[0].on_error = 'skip'
    loader = Runner.build_dataloader(loader, seed=0)
    counts = {}
    for batch in loader:
        size, = {tuple(image.shape) for image in batch['inputs']}
        counts[size] = len(batch['inputs'])
    assert counts == {(3, 40, 40): 40, (3, 48, 48): 28, (3, 64, 64): 16, (3, 72, 72): 16, (3, 80, 80): 16}


def test_training_resumes(run_dir, tool):
    """A training of two epochs in one go, and stopped in between, see the same batches and end in the same bits.

    Crops, flips and dropout are the recipe's: their random numbers follow from seed, epoch, index and iteration.
    """
    options = ['randomness.seed=0', 'train_dataloader.dataset.indices=40', 'train_dataloader.batch_size=4',
               'val_dataloader.dataset.indices=8', 'default_hooks.logger.interval=1']

    iterations = {1: LENGTHS[0], 2: sum(LENGTHS)}
    assert LENGTHS[0] != LENGTHS[1]

    def train(folder, epochs, *flags):
        outcome = tool('train', CONFIG, '--mini', '--work-dir', folder, *flags, '--cfg-options', *options,
                       f'train_cfg.max_epochs={epochs}')
        assert outcome.code == 0, outcome.output
        checkpoint = torch.load(run_dir / folder / f'epoch_{epochs}.pth', weights_only=True)
        assert checkpoint['meta']['iter'] == iterations[epochs]
        return checkpoint['state_dict']

    whole = train('whole', 2)
    train('parts', 1)
    parts = train('parts', 2, '--resume')
    assert all(torch.equal(whole[key], parts[key]) for key in whole)
