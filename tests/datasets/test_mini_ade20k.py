"""The miniature ADE20K: the format of the real one, and its classes in balance."""

import importlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from mvit3_bench.datasets.mini import make_mini_ade20k
from mvit3_bench.datasets.mini.ade20k import LABELS
from mvit3_bench.datasets.mini.scenes import draw_scene

SPLITS = {'training': ('train', 6), 'validation': ('val', 3)}
SIZES = dict(train=6, val=3)


@pytest.fixture(scope='module')
def mini(tmp_path_factory):
    """A small miniature ADE20K, to be read only."""
    return make_mini_ade20k(tmp_path_factory.mktemp('mini') / 'ADEChallengeData2016', **SIZES)


def read_labels(mini: Path, split: str) -> list[np.ndarray]:
    """The label maps of a split as they are stored."""
    paths = sorted((mini / 'annotations' / split).iterdir())
    return [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in paths]


@pytest.mark.parametrize('split', SPLITS)
def test_names_are_those_of_ade20k(mini, split):
    """Files are numbered from 1 with eight digits, each image with its label map."""
    short, count = SPLITS[split]
    stems = [f'ADE_{short}_{number:08d}' for number in range(1, count + 1)]
    assert sorted(path.name for path in (mini / 'images' / split).iterdir()) == [
        f'{stem}.jpg' for stem in stems]
    assert sorted(path.name for path in (mini / 'annotations' / split).iterdir()) == [
        f'{stem}.png' for stem in stems]


@pytest.mark.parametrize('split', SPLITS)
def test_labels_fit_the_images(mini, split):
    """Label maps are uint8 with one channel, of the image's size, and hold known labels only."""
    for path, labels in zip(sorted((mini / 'images' / split).iterdir()), read_labels(mini, split),
                            strict=True):
        image = cv2.imread(str(path))
        assert labels.dtype == np.uint8
        assert labels.shape == image.shape[:2]
        assert set(np.unique(labels)) <= {0, *LABELS.values()}


@pytest.mark.parametrize('split', SPLITS)
def test_every_class_is_in_every_split(mini, split):
    """Each class covers a decent area, and some pixels belong to no class."""
    labels = np.concatenate([each.ravel() for each in read_labels(mini, split)])
    for name, label in LABELS.items():
        assert (labels == label).mean() > 0.015, name
    assert 0 < (labels == 0).mean() < 0.05


def test_every_class_is_in_a_third_of_the_scenes():
    """The default splits are balanced, whatever the seed."""
    for seed in range(3):
        scenes = [draw_scene(np.random.default_rng([seed, index]), index) for index in range(16)]
        for name in LABELS:
            seen = sum((scene.label_map({name: 1}) > 0).mean() > 0.002 for scene in scenes)
            assert seen >= 16 / 3, (seed, name)


def test_mmseg_reads_it(mini):
    """mmseg's own data set finds the images and gives each class the index it has in ADE20K."""
    pytest.importorskip('mmseg', reason='needs mmsegmentation')
    importlib.import_module('mvit3_bench.compat')  # first: mmcv-lite lacks operators mmseg imports
    from mmseg.datasets import ADE20KDataset
    from mmseg.utils import register_all_modules

    register_all_modules()
    for split, (_, count) in SPLITS.items():
        dataset = ADE20KDataset(
            data_root=str(mini),
            data_prefix=dict(img_path=f'images/{split}', seg_map_path=f'annotations/{split}'),
            pipeline=[dict(type='LoadImageFromFile'),
                      dict(type='LoadAnnotations', reduce_zero_label=True)])
        assert len(dataset) == count
        classes = dataset.metainfo['classes']
        assert all(classes[label - 1] == name for name, label in LABELS.items())
        for index, stored in enumerate(read_labels(mini, split)):
            sample = dataset[index]
            assert sample['img'].shape[:2] == stored.shape
            # 0 becomes 255, to be ignored; every other label moves down by one
            assert (sample['gt_seg_map'] == stored - np.uint8(1)).all()
