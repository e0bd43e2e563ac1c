"""What every miniature data set keeps: its determinism, and that it never harms what is there."""

import hashlib
import inspect
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from mvit3_bench.datasets.mini import FOLDERS, MAKERS
from mvit3_bench.datasets.mini.folder import make_folder_once
from mvit3_bench.datasets.mini.scenes import LANDSCAPES, OUTINGS, draw_scene

SIZES = dict(train=6, val=3)


@pytest.fixture(scope='module', params=MAKERS)
def name(request):
    """Each format in turn."""
    return request.param


@pytest.fixture
def maker(name):
    return MAKERS[name]


@pytest.fixture(scope='module')
def mini(name, tmp_path_factory):
    """A small set of the format, to be read only."""
    return MAKERS[name](tmp_path_factory.mktemp('mini') / 'set', **SIZES)


def digest(folder: Path, *suffixes: str) -> dict[str, str]:
    """A hash for each file below the folder, or for those with one of the suffixes."""
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob('*')) if path.is_file() and (not suffixes or path.suffix in suffixes)}


@pytest.mark.parametrize('settings', [LANDSCAPES, OUTINGS], ids=['landscapes', 'outings'])
def test_instances_partition_the_scene(settings):
    """The visible parts of the things cover each pixel once and agree with the label map."""
    for index in range(len(settings)):
        scene = draw_scene(np.random.default_rng(0), index, settings)
        names, masks = zip(*scene.instances(), strict=True)
        assert (np.sum(masks, axis=0) == 1).all()
        people = [mask for name, mask in zip(names, masks, strict=True) if name == 'person']
        assert (np.any(people, axis=0) == scene.label_map({'person': 1})).all()


def test_same_seed_same_bytes(maker, mini, tmp_path):
    """Two runs write the same files, and the folder's name leaves no trace in them."""
    assert digest(maker(tmp_path / 'again', **SIZES)) == digest(mini)


def test_other_seed_other_images(maker, mini, tmp_path):
    """Every image changes with the seed."""
    ours, theirs = (digest(folder, '.jpg', '.JPEG') for folder in (mini, maker(tmp_path / 'other', **SIZES, seed=1)))
    assert ours.keys() == theirs.keys()
    assert not any(ours[name] == theirs[name] for name in ours)


def test_a_larger_set_begins_with_the_smaller(maker, mini, tmp_path):
    """A scene does not depend on how many others are drawn."""
    pictures = '.jpg', '.JPEG', '.png'
    smaller = digest(maker(tmp_path / 'smaller', train=2, val=1), *pictures)
    assert len(smaller) >= 3
    assert smaller.items() <= digest(mini, *pictures).items()


def test_a_whole_set_is_reused(maker, mini, monkeypatch):
    """The second call draws nothing."""
    monkeypatch.setattr(cv2, 'imencode', None)
    assert maker(mini, **SIZES) == mini


def test_foreign_folder_is_refused(maker, tmp_path):
    """A folder without mini.json may be the user's real data and stays as it is."""
    photo = tmp_path / 'images' / 'photo.jpg'
    photo.parent.mkdir()
    photo.write_bytes(b'precious')
    with pytest.raises(FileExistsError, match=r'has no mini\.json.*another root'):
        maker(tmp_path)
    assert [path for path in tmp_path.rglob('*') if path.is_file()] == [photo]


def test_other_or_damaged_set_is_refused(maker, tmp_path):
    """Other arguments, a lost file or an unreadable record: an error says which."""
    root = maker(tmp_path / 'set', train=1, val=1)
    with pytest.raises(FileExistsError, match=r"'seed': 0.*, not with .*'seed': 5"):
        maker(root, train=1, val=1, seed=5)
    image = next(path for path in sorted(root.rglob('*')) if path.suffix in ('.jpg', '.JPEG'))
    image.unlink()
    with pytest.raises(FileExistsError, match=rf'lacks 1 of its files, .*{image.name}'):
        maker(root, train=1, val=1)
    (root / 'mini.json').write_text('{')
    with pytest.raises(FileExistsError, match=r'unreadable mini\.json'):
        maker(root, train=1, val=1)


def test_interruption_leaves_nothing(maker, tmp_path, monkeypatch):
    """Ctrl-C halfway leaves neither the set nor scratch files, and the next call succeeds."""
    written, encode = [], cv2.imencode

    def interrupted(*args):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(args)
        return encode(*args)

    with monkeypatch.context() as patch:
        patch.setattr(cv2, 'imencode', interrupted)
        with pytest.raises(KeyboardInterrupt):
            maker(tmp_path / 'set', **SIZES)
    assert len(written) == 2
    assert not list(tmp_path.iterdir())
    assert (maker(tmp_path / 'set', train=1, val=1) / 'mini.json').is_file()


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


@pytest.mark.parametrize('wrong', [{'train': 0}, {'val': 0}, {'seed': -1}], ids=str)
def test_numbers_too_small(maker, tmp_path, wrong):
    """The error names the argument."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        maker(tmp_path / 'set', **wrong)


def test_needs_numpy_and_opencv_only():
    """Drawing data imports neither torch nor a framework."""
    code = ('import sys, mvit3_bench.datasets.mini; '
            'print(sorted({"torch", "mmcv", "mmengine", "mmdet", "mmseg", "pycocotools"} & set(sys.modules)))')
    found = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == '[]'


def test_tool(name, tmp_path):
    """The tool makes the set below --root, reports it, and turns a refusal into one line."""
    tool = Path(__file__).parents[2] / 'tools' / 'make_mini_data.py'
    command = [sys.executable, str(tool), name, '--root', str(tmp_path), '--val', '1']
    result = subprocess.run([*command, '--train', '2'], capture_output=True, text=True, check=True)
    folder = tmp_path / FOLDERS[name]
    assert json.loads((folder / 'mini.json').read_text())['train'] == 2
    assert str(folder) in result.stdout
    assert (folder / 'README.txt').read_text() in result.stdout

    result = subprocess.run([*command, '--train', '3'], capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.startswith('error: ')
    assert result.stderr.count('\n') == 1


def test_every_maker_has_its_folder():
    """A format is reachable only if its place below the data root is known."""
    assert MAKERS.keys() == FOLDERS.keys()


def test_the_tool_and_training_agree_on_the_sizes():
    """What the tool draws unasked is what ``--mini`` looks for."""
    minis = pytest.importorskip('mvit3_bench.engine.mini', reason='needs mmengine').MINIS
    for mini in minis.values():
        assert inspect.signature(MAKERS[mini.maker]).parameters['train'].default == mini.train_images
