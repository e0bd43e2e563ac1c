"""Batches and their sizes against those of the published samplers, from the configs' own loaders."""
import json

import conftest
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DATA_SAMPLERS

from mvit3_bench.datasets.seeded import SeededBatchSampler, seeded

FOLDER = conftest.ROOT / 'tests' / 'data' / 'training' / 'samplers'
TRACES = {version: json.loads((FOLDER / f'samplers_{version}.json').read_text()) for version in ('v1', 'v2')}
MULTI_SCALE = {name: entry for name, entry in TRACES['v1'].items() if name.startswith('vbs')}
FIXED = {(version, name): entry for version, entries in TRACES.items() for name, entry in entries.items()
         if name not in MULTI_SCALE and name != 'imagenet_6_ranks_of_64'}
# version and data set of a trace -> recipe, config
CONFIGS = dict(
    v1_imagenet=('imagenet_v1type', 'cls/mvit3_s_in1k'), v1_coco=('coco_v1type', 'det/ssdlite_mvit3_s_coco'),
    v1_voc=('voc_v1type', 'seg/deeplabv3_mvit3_s_voc2012'), v2_imagenet=('imagenet_v2type', 'cls/mvit3_1.0_in1k'),
    v2_finetune=('imagenet_384', 'cls/mvit3_1.0_384_in1k'), v2_coco=('coco_v2type', 'det/ssdlite_mvit3_1.0_coco'),
    v2_voc=('voc_v2type', 'seg/deeplabv3_mvit3_1.0_voc2012'), v2_ade20k=('ade20k', 'seg/deeplabv3_mvit3_1.0_ade20k'))
CHI2_4, CHI2_24 = 18.5, 51.2  # exceeded by chance once in a thousand times, with 4 and 24 degrees of freedom


@pytest.fixture
def build(monkeypatch):
    """The batch sampler of a config: ``build('v1_coco', batch_size, images, rank, ranks)``."""
    def call(name: str, batch_size: int, images: int, rank: int = 0, ranks: int = 1, shuffle=True) -> SeededBatchSampler:
        monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info', lambda: (rank, ranks))
        monkeypatch.setattr('mvit3_bench.datasets.multi_scale.get_world_size', lambda: ranks)
        loader = seeded(Config.fromfile(conftest.ROOT / 'configs' / f'{CONFIGS[name][1]}.py').train_dataloader)
        sampler = DATA_SAMPLERS.build(dict(loader.sampler, shuffle=shuffle),
                                      default_args=dict(dataset=range(images), seed=0))
        return SeededBatchSampler(sampler, batch_size, loader.batch_sampler.batch_sampler, loader.batch_sampler.drop_last)
    return call


def place_of(name: str) -> tuple[int, int]:
    """Rank and number of ranks in the name of a trace, as in vbs_ddp_rank0_of_2_batch32."""
    if 'ddp' not in name:
        return 0, 1
    words = name.split('_')
    return int(words[words.index('of') - 1].removeprefix('rank')), int(words[words.index('of') + 1])


def ids_of(batches) -> list[list[int]]:
    """The indices of the images in each batch."""
    return [[int(each.index) for each in batch] for batch in batches]


def chi_square(counts) -> float:
    """How far counts are from being equal."""
    counts = np.asarray(counts)
    return float(((counts - counts.mean())**2 / counts.mean()).sum())


def test_every_trace_is_compared():
    """None is left out, and none is read twice."""
    assert sum(map(len, TRACES.values())) == len(MULTI_SCALE) + len(FIXED) + 1 == 32
    assert {f'{version}_{name.split("_")[0]}' for version, name in FIXED} == CONFIGS.keys() - {'v1_imagenet'}


@pytest.mark.parametrize('name', MULTI_SCALE)
def test_multi_scale_batches(name, build, monkeypatch, fidelity):
    """The published sizes in the published order: as many batches, as many images in each, the last one filled up alike."""
    trace, (rank, ranks) = MULTI_SCALE[name], place_of(name)
    batch_size = int(name.rpartition('batch')[2])
    batches = build('v1_imagenet', batch_size, 1000, rank, ranks, shuffle=False)
    sampler, compared = batches.batches, 0
    assert sampler.batch_sizes == {size: number for size, _, number in trace['tuples']}
    for epoch in (trace['epoch0'], trace['epoch1']):
        places = [sampler.sizes.index(size) for size, _, _ in epoch['batches']]
        # beyond the published epoch, small images: one batch more would be noticed
        drawn = np.array([*places, *[0] * 1000])
        with monkeypatch.context() as context:
            context.setattr('numpy.random.default_rng', lambda key, drawn=drawn: Draws(drawn))
            own = list(batches)
        sizes = [{each.index.size for each in batch} for batch in own]
        assert [[*size, *size, len(batch)] for size, batch in zip(sizes, own, strict=True)] == epoch['batches']
        ids = ids_of(own)
        images = sum(map(len, ids))
        assert (len(ids), images, len(set(sum(ids, [])))) == (epoch['n_batches'], epoch['images_drawn'], epoch['distinct'])
        filled = images - epoch['distinct']
        start = len(ids[-1]) - filled
        assert filled and ids[-1][start:] == sum(ids, [])[:filled]
        known = epoch['last_batch_ids'][start:][:16]  # the trace has the first 64 of the last batch, and 16 of the first
        assert known == epoch['first_batch_ids'][:len(known)]
        compared += len(known)
    assert compared
    fidelity('samplers', 'imagenet_v1type', measured=f'batches and fill-up equal: {name}')


class Draws:
    """A generator that draws what is given."""

    def __init__(self, drawn: np.ndarray):
        self.drawn = drawn

    def integers(self, high: int, size: int) -> np.ndarray:
        return self.drawn[:size]


def test_sizes_are_drawn_independently(build, fidelity):
    """Over 300 epochs each size, and each pair of successive sizes, is as frequent as any other, on every rank alike."""
    sampler = build('v1_imagenet', 64, 1000).batches
    epochs = [sampler.sizes_of(epoch) for epoch in range(300)]
    places = [[sampler.sizes.index(size) for size in sizes] for sizes in epochs]
    singles = np.bincount(sum(places, []), minlength=5)
    pairs = np.bincount([5 * one + other for each in places for one, other in zip(each, each[1:], strict=False)],
                        minlength=25)
    assert singles.sum() > 3000 and chi_square(singles) < CHI2_4 and chi_square(pairs) < CHI2_24
    ranks = [build('v1_imagenet', 64, 1001, rank, 6).batches for rank in range(6)]
    assert all(other.sizes_of(epoch) == ranks[0].sizes_of(epoch) for other in ranks for epoch in range(9))
    assert len({tuple(sizes) for sizes in epochs}) == 300
    fidelity('samplers', 'imagenet_v1type',
             measured=f'chi-square {chi_square(singles):.1f} of sizes, {chi_square(pairs):.1f} of pairs in 300 epochs')


def test_length_of_an_epoch_of_imagenet(build, fidelity):
    """On 6 processes of 64 images: the published numbers of batches are as likely as any of ours, and so are the sizes."""
    trace = TRACES['v1']['imagenet_6_ranks_of_64']
    sampler = build('v1_imagenet', 64, 1_281_167, 0, 6).batches
    assert sampler.batch_sizes == {size: number for size, _, number in trace['tuples']}
    lengths = [sampler.length_of(epoch) for epoch in range(300)]
    mean, spread = np.mean(lengths), np.std(lengths)
    # of sums of independent draws until the images are used up
    numbers = np.array(list(sampler.batch_sizes.values()))
    expected = 213_528 / numbers.mean()
    assert abs(mean - expected) < 4 and spread == pytest.approx(expected**0.5 * numbers.std() / numbers.mean(), rel=0.15)
    assert all(abs(length - mean) < 2 * spread and min(lengths) < length < max(lengths)
               for length in trace['batches_per_epoch'])
    own = [sampler.sizes_of(2).count(size) for size in sampler.sizes]
    assert chi_square(own) < CHI2_4 and chi_square(list(trace['sizes_in_epoch2'].values())) < CHI2_4
    published = ', '.join(map(str, trace['batches_per_epoch']))
    fidelity('samplers', 'imagenet_v1type', measured=f'batches an epoch {mean:.0f} +- {spread:.0f}; published {published}')


@pytest.mark.parametrize('version, name', FIXED)
def test_fixed_batches(version, name, build, fidelity):
    """As many batches as published, each image once; of several processes the last batch stays smaller, on purpose."""
    trace, (rank, ranks) = FIXED[version, name], place_of(name)
    key = f'{version}_{name.split("_")[0]}'
    batches = build(key, trace['batch'], 1000 if ranks == 1 else 1001, rank, ranks)
    epochs = []
    for number, epoch in enumerate((trace['epoch0'], trace['epoch1'])):
        batches.begin(0, number, 0)
        batches.sampler.set_epoch(number)
        ids, published = ids_of(batches), [batch for _, _, batch in epoch['batches']]
        epochs.append(ids)
        assert len(ids) == len(batches) == epoch['n_batches']
        own = list(map(len, ids))
        assert own[:-1] == published[:-1] == [trace['batch']] * (len(ids) - 1)
        if ranks == 1:
            assert own == published and set(sum(ids, [])) == set(range(1000))
        else:
            assert sum(own) == len(set(sum(ids, []))) == 501 and sum(published) == len(ids) * trace['batch']
    assert epochs[0] != epochs[1]
    recipe = CONFIGS[key][0]
    if ranks == 1:
        fidelity('samplers', recipe, measured=f'{len(own)} batches, {sum(own)} images: equal')
    else:
        fidelity('samplers', recipe, differs='D29',
                 measured=f'{sum(published) - sum(own)} of {sum(published)} images of rank {rank} of 2 are not filled up')


@pytest.mark.parametrize('key', CONFIGS)
@pytest.mark.parametrize('images, ranks', [(2, 3), (5, 3)])
def test_fewer_images_than_ranks_or_a_batch(key, images, ranks, build):
    """Every rank has the same number of batches, and none is empty."""
    own = [ids_of(build(key, 8, images, rank, ranks)) for rank in range(ranks)]
    assert len({len(batches) for batches in own}) == 1 and all(batch for batches in own for batch in batches)
    assert {index for batches in own for batch in batches for index in batch} == set(range(images))
