"""The miniature ImageNet: the format and the labels of the real one."""
from pathlib import Path

import cv2
import pytest

from mvit3_bench.datasets.mini import make_mini_imagenet
from mvit3_bench.datasets.mini.imagenet import SYNSETS

SIZES = dict(train=18, val=9)


@pytest.fixture(scope='module')
def mini(tmp_path_factory):
    """A small miniature ImageNet, to be read only."""
    return make_mini_imagenet(tmp_path_factory.mktemp('mini') / 'imagenet', **SIZES)


def listed(mini: Path, split: str) -> dict[str, int]:
    """File -> label of a split, as its list says."""
    pairs = (line.rsplit(' ', 1) for line in (mini / 'meta' / f'{split}.txt').read_text().splitlines())
    return {path: int(label) for path, label in pairs}


@pytest.mark.parametrize('split', SIZES)
def test_lists_and_files_agree(mini, split):
    """Each picture is in the list of its split, once, and can be read; every class is there."""
    labels = listed(mini, split)
    assert len(labels) == SIZES[split]
    assert set(labels) == {str(path.relative_to(mini / split)) for path in (mini / split).rglob('*.JPEG')}
    assert set(labels.values()) == {label for label, _, _ in SYNSETS.values()}
    for path in labels:
        height, width, _ = cv2.imread(str(mini / split / path)).shape
        assert {100 < side < 180 for side in (height, width)} == {True}


def test_names_are_those_of_imagenet(mini):
    """Training images lie in the folder of their synset and begin with its name; validation images are numbered."""
    for path, label in listed(mini, 'train').items():
        folder, file = path.split('/')
        assert file.startswith(f'{folder}_') and SYNSETS[folder][0] == label
    assert list(listed(mini, 'val'))[0] == 'ILSVRC2012_val_00000001.JPEG'


def test_synsets_are_numbered_in_order():
    """ImageNet numbers its classes by the order of their synsets."""
    assert sorted(SYNSETS) == sorted(SYNSETS, key=lambda synset: SYNSETS[synset][0]) == list(SYNSETS)


@pytest.mark.parametrize('split', SIZES)
def test_mmpretrain_reads_it(mini, split):
    """mmpretrain's ImageNet finds every picture with its label, and calls the class as we do."""
    pytest.importorskip('mmpretrain', reason='mmpretrain is not installed')
    from mmpretrain.datasets import ImageNet
    dataset = ImageNet(data_root=str(mini), split=split)
    assert len(dataset) == SIZES[split]
    names = {label: name for label, name, _ in SYNSETS.values()}
    for sample in map(dataset.get_data_info, range(len(dataset))):
        assert Path(sample['img_path']).is_file()
        assert dataset.CLASSES[sample['gt_label']].split(',')[0] == names[sample['gt_label']]
