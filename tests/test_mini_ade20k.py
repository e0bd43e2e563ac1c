"""The miniature ADE20K: its format, its determinism, and that it never harms what is there."""

import hashlib
import importlib
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from mvit3_bench.datasets.mini import FOLDERS, MAKERS, ade20k, make_mini_ade20k
from mvit3_bench.datasets.mini.ade20k import LABELS
from mvit3_bench.datasets.mini.folder import make_folder_once
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


def digest(folder: Path) -> dict[str, str]:
    """A hash for each file below the folder."""
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob('*')) if path.is_file()}


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


def test_instances_partition_the_scene():
    """The visible parts of the things cover each pixel once and agree with the label map."""
    scene = draw_scene(np.random.default_rng(0), 0)
    names, masks = zip(*scene.instances(), strict=True)
    assert (np.sum(masks, axis=0) == 1).all()
    cars = np.any([mask for name, mask in zip(names, masks, strict=True) if name == 'car'], axis=0)
    assert (cars == (scene.label_map(LABELS) == LABELS['car'])).all()


def test_same_seed_same_bytes(mini, tmp_path):
    """Two runs write the same files, and the folder's name leaves no trace in them."""
    assert digest(make_mini_ade20k(tmp_path / 'again', **SIZES)) == digest(mini)


def test_other_seed_other_images(mini, tmp_path):
    """Every image changes with the seed."""
    ours, theirs = digest(mini), digest(make_mini_ade20k(tmp_path / 'other', **SIZES, seed=1))
    assert ours.keys() == theirs.keys()
    assert not any(ours[name] == theirs[name] for name in ours if name.endswith('.jpg'))


def test_a_larger_set_begins_with_the_smaller(mini, tmp_path):
    """A scene does not depend on how many others are drawn."""
    smaller = digest(make_mini_ade20k(tmp_path / 'smaller', train=2, val=1))
    images = {name: value for name, value in smaller.items() if name.endswith(('.jpg', '.png'))}
    assert len(images) == 6
    assert images.items() <= digest(mini).items()


def test_a_whole_set_is_reused(mini, monkeypatch):
    """The second call draws nothing."""
    monkeypatch.setattr(ade20k, 'draw_scene', None)
    assert make_mini_ade20k(mini, **SIZES) == mini


def test_foreign_folder_is_refused(tmp_path):
    """A folder without mini.json may be the user's real data and stays as it is."""
    photo = tmp_path / 'images' / 'photo.jpg'
    photo.parent.mkdir()
    photo.write_bytes(b'precious')
    with pytest.raises(FileExistsError, match=r'has no mini\.json.*another root'):
        make_mini_ade20k(tmp_path)
    assert [path for path in tmp_path.rglob('*') if path.is_file()] == [photo]


def test_other_or_damaged_set_is_refused(tmp_path):
    """Other arguments, a lost file or an unreadable record: an error says which."""
    root = make_mini_ade20k(tmp_path / 'set', train=1, val=1)
    with pytest.raises(FileExistsError, match=r"'seed': 0.*, not with .*'seed': 5"):
        make_mini_ade20k(root, train=1, val=1, seed=5)
    (root / 'images/training/ADE_train_00000001.jpg').unlink()
    with pytest.raises(FileExistsError, match=r'lacks 1 of its files, .*ADE_train_00000001\.jpg'):
        make_mini_ade20k(root, train=1, val=1)
    (root / 'mini.json').write_text('{')
    with pytest.raises(FileExistsError, match=r'unreadable mini\.json'):
        make_mini_ade20k(root, train=1, val=1)


def test_interruption_leaves_nothing(tmp_path, monkeypatch):
    """Ctrl-C halfway leaves neither the set nor scratch files, and the next call succeeds."""
    def interrupted(rng, index):
        if index == 2:
            raise KeyboardInterrupt
        return draw_scene(rng, index)

    with monkeypatch.context() as patch:
        patch.setattr(ade20k, 'draw_scene', interrupted)
        with pytest.raises(KeyboardInterrupt):
            make_mini_ade20k(tmp_path / 'set', **SIZES)
    assert not list(tmp_path.iterdir())
    assert (make_mini_ade20k(tmp_path / 'set', train=1, val=1) / 'mini.json').is_file()


def test_the_slower_of_two_processes_takes_the_others_set(tmp_path):
    """Whoever finds the folder made in the meantime uses it, and cleans up after itself."""
    root, recipe = tmp_path / 'set', {'format': 'any'}

    def write(folder):
        (folder / 'winner').touch()

    def overtaken(folder):
        make_folder_once(root, recipe, ['winner'], write)
        (folder / 'loser').touch()

    assert make_folder_once(root, recipe, ['winner'], overtaken) == root
    assert sorted(path.name for path in root.iterdir()) == ['mini.json', 'winner']
    assert list(tmp_path.iterdir()) == [root]


@pytest.mark.parametrize('wrong', [{'train': 0}, {'val': 0}, {'seed': -1}])
def test_numbers_too_small(tmp_path, wrong):
    """The error names the argument."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        make_mini_ade20k(tmp_path / 'set', **wrong)


def test_needs_numpy_and_opencv_only():
    """Drawing data imports neither torch nor a framework."""
    code = ('import sys, mvit3_bench.datasets.mini; '
            'print(sorted({"torch", "mmcv", "mmengine", "mmseg"} & set(sys.modules)))')
    found = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == '[]'


def test_tool(tmp_path):
    """The tool makes the set below --root, reports it, and turns a refusal into one line."""
    tool = Path(__file__).parents[1] / 'tools' / 'make_mini_data.py'
    command = [sys.executable, str(tool), 'ade20k', '--root', str(tmp_path), '--val', '1']
    result = subprocess.run([*command, '--train', '2'], capture_output=True, text=True, check=True)
    folder = tmp_path / FOLDERS['ade20k']
    assert json.loads((folder / 'mini.json').read_text())['train'] == 2
    assert str(folder) in result.stdout
    assert all(name in result.stdout for name in LABELS)

    result = subprocess.run([*command, '--train', '3'], capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.startswith('make_mini_data: ')
    assert result.stderr.count('\n') == 1


def test_every_maker_has_its_folder():
    """A format is reachable only if its place below the data root is known."""
    assert MAKERS.keys() == FOLDERS.keys()


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
