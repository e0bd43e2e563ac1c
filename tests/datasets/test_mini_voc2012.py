"""The miniature VOC2012: the format of the real one, and its classes in every list."""
import importlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from mvit3_bench.datasets.mini import make_mini_voc2012
from mvit3_bench.datasets.mini.voc2012 import LABELS, VOID

LISTS = {'train': ('SegmentationClass', 3), 'aug': ('SegmentationClassAug', 3), 'val': ('SegmentationClass', 3)}


@pytest.fixture(scope='module')
def mini(tmp_path_factory):
    """A small miniature VOC2012, to be read only."""
    return make_mini_voc2012(tmp_path_factory.mktemp('mini') / 'VOC2012', train=6, val=3)


def members(mini: Path, name: str) -> list[str]:
    return (mini / 'ImageSets' / 'Segmentation' / f'{name}.txt').read_text().split()


@pytest.mark.parametrize('name', LISTS)
def test_masks_fit_the_images(mini, name):
    """Each image of a list has its mask, uint8 with one channel and known labels, and every class is there."""
    folder, count = LISTS[name]
    assert len(members(mini, name)) == count
    seen = set()
    for stem in members(mini, name):
        mask = cv2.imread(str(mini / folder / f'{stem}.png'), cv2.IMREAD_UNCHANGED)
        assert mask.dtype == np.uint8 and mask.shape == cv2.imread(str(mini / 'JPEGImages' / f'{stem}.jpg')).shape[:2]
        assert (mask == 0).mean() > 0.4 and 0 < (mask == VOID).mean() < 0.2
        seen |= set(np.unique(mask))
    assert seen == {0, VOID, *LABELS.values()}


def test_lists_and_files_agree(mini):
    """No image is in two lists or in none, and no mask is without its image."""
    stems = [stem for name in LISTS for stem in members(mini, name)]
    assert sorted(stems) == sorted(path.stem for path in (mini / 'JPEGImages').iterdir())
    assert {path.stem for path in (mini / 'SegmentationClassAug').iterdir()} == set(members(mini, 'aug'))
    assert {path.stem for path in (mini / 'SegmentationClass').iterdir()} == set(stems) - set(members(mini, 'aug'))


def test_things_are_outlined_in_void(mini):
    """Two labels never touch."""
    for path in sorted(mini.glob('SegmentationClass*/*.png')):
        mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        for one, other in ((mask[1:], mask[:-1]), (mask[:, 1:], mask[:, :-1])):
            assert (one[one != other] == VOID).sum() + (other[one != other] == VOID).sum() == (one != other).sum()


@pytest.mark.parametrize('name', LISTS)
def test_mmseg_reads_it(mini, name):
    """mmseg's own data set finds the images and calls each class as we do."""
    pytest.importorskip('mmseg', reason='needs mmsegmentation')
    importlib.import_module('mvit3_bench.compat')  # first: mmcv-lite lacks operators mmseg imports
    from mmseg.datasets import PascalVOCDataset
    from mmseg.utils import register_all_modules

    register_all_modules()
    folder, count = LISTS[name]
    dataset = PascalVOCDataset(
        data_root=str(mini), ann_file=f'ImageSets/Segmentation/{name}.txt',
        data_prefix=dict(img_path='JPEGImages', seg_map_path=folder),
        pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')])
    assert len(dataset) == count
    assert all(dataset.metainfo['classes'][label] == name for name, label in LABELS.items())
    for sample in dataset:
        assert sample['img'].shape[:2] == sample['gt_seg_map'].shape
