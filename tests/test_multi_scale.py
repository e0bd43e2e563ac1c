"""Batches of several sizes: whole epochs, the same on every rank and after a resume, one size within a batch."""
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


def make(monkeypatch, length=1000, rank=0, ranks=1, seed=0, epoch=0, batch_size=16) -> MultiScaleBatchSampler:
    """The sampler of one rank, at the start of an epoch."""
    monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info', lambda: (rank, ranks))
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
def test_epoch(monkeypatch, length):
    """An epoch is as long as it says, sees each sample once and few twice, and each size equally often."""
    sampler = make(monkeypatch, length)
    batches = list(sampler)
    assert len(batches) == len(sampler)
    seen = Counter(int(index) for batch in batches for index in batch)
    assert set(seen) == set(range(length))
    assert seen.total() - length < max(sampler.batch_sizes.values())
    turns = Counter(sizes(batches))
    assert max(turns.values()) - min(turns[size] for size in SIZES) <= 1


def test_batches_cost_the_same(monkeypatch):
    """A batch has images in inverse proportion to their area, and at least one."""
    assert make(monkeypatch, batch_size=64).batch_sizes == {160: 164, 192: 114, 256: 64, 288: 51, 320: 41}
    assert make(monkeypatch, batch_size=1).batch_sizes[320] == 1
    assert all(len(batch) == {160: 41, 192: 28, 256: 16, 288: 13, 320: 10}[batch[0].size] for batch in make(monkeypatch))


def test_ranks_agree(monkeypatch):
    """Every rank has the same sequence of sizes, and its own share of the samples."""
    ranks = [list(make(monkeypatch, 1001, rank, 3)) for rank in range(3)]
    assert sizes(ranks[0]) == sizes(ranks[1]) == sizes(ranks[2])
    firsts = [{int(index) for index in batches[0]} for batches in ranks]
    assert not firsts[0] & firsts[1] and not firsts[1] & firsts[2] and not firsts[0] & firsts[2]


def test_seed_and_epoch_decide(monkeypatch):
    """The same seed and epoch give the same batches, as a resume needs; others give others of the same number."""
    def epoch(**kwargs):
        batches = list(make(monkeypatch, **kwargs))
        return batches, sizes(batches)

    assert epoch(epoch=3) == epoch(epoch=3)
    for other in (epoch(epoch=4), epoch(epoch=3, seed=1)):
        assert other[1] != epoch(epoch=3)[1]
        assert sorted(other[1]) == sorted(epoch(epoch=3)[1])


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
    assert counts == {(3, 40, 40): 41, (3, 48, 48): 28, (3, 64, 64): 16, (3, 72, 72): 13, (3, 80, 80): 10}


def test_training_resumes(run_dir, tool):
    """A training of two epochs in one go, and stopped in between, see the same batches and end in the same bits.

    Crops, flips and dropout are the recipe's: their random numbers follow from seed, epoch, index and iteration.
    """
    options = ['randomness.seed=0', 'train_dataloader.dataset.indices=40', 'train_dataloader.batch_size=4',
               'val_dataloader.dataset.indices=8', 'default_hooks.logger.interval=1']

    def train(folder, epochs, *flags):
        outcome = tool('train', CONFIG, '--mini', '--work-dir', folder, *flags, '--cfg-options', *options,
                       f'train_cfg.max_epochs={epochs}')
        assert outcome.code == 0, outcome.output
        checkpoint = torch.load(run_dir / folder / f'epoch_{epochs}.pth', weights_only=True)
        assert checkpoint['meta']['iter'] == epochs * 7
        return checkpoint['state_dict']

    whole = train('whole', 2)
    train('parts', 1)
    parts = train('parts', 2, '--resume')
    assert all(torch.equal(whole[key], parts[key]) for key in whole)
