"""The small data sets of others, from the folders of their repositories and from torchvision's archive."""
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

pytest.importorskip('mmengine', reason='mmengine is not installed')

from mvit3_bench.cli import prepare as command  # noqa: E402
from mvit3_bench.datasets import prepare  # noqa: E402

OBJECT = """<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"""


def test_names():
    """The command offers what there is."""
    assert tuple(prepare.PREPARED) == command.DATA_SETS


def test_cifar10(tmp_path, monkeypatch):
    """torchvision's archive becomes folders of classes, a tenth of the training images a list for validation."""
    from torchvision.datasets import CIFAR10
    batches = tmp_path / 'cifar-10-batches-py'
    batches.mkdir()
    random, classes = np.random.default_rng(0), ['airplane', 'bird']
    images = {}
    for name in ('data_batch_1', 'test_batch'):
        images[name] = random.integers(0, 256, (40, 3, 32, 32), dtype=np.uint8)
        (batches / name).write_bytes(pickle.dumps(dict(data=images[name].reshape(40, -1), labels=[0, 1] * 20)))
    (batches / 'batches.meta').write_bytes(pickle.dumps(dict(label_names=classes)))
    monkeypatch.setattr(CIFAR10, 'train_list', [['data_batch_1', None]])
    monkeypatch.setattr(CIFAR10, 'test_list', [['test_batch', None]])
    monkeypatch.setattr(CIFAR10, 'meta', dict(filename='batches.meta', key='label_names', md5=None))
    out = tmp_path / 'out'
    assert prepare.cifar10(tmp_path, out) == '2 classes, 36 images for training, 4 for validation'
    assert (np.array(Image.open(out / 'train/bird/00001.png')) == images['data_batch_1'][1].transpose(1, 2, 0)).all()
    lists = [(out / f'{name}.txt').read_text().splitlines() for name in ('train', 'val')]
    assert lists[1] == ['airplane/00000.png 0', 'airplane/00020.png 0', 'bird/00001.png 1', 'bird/00021.png 1']
    assert not set(lists[0]) & set(lists[1]) and len(list((out / 'test').rglob('*.png'))) == 40


def test_cifar10_of_another_copy(tmp_path):
    """Images that are there already are listed as they are, and nothing is downloaded."""
    for split, count in (('train', 20), ('test', 2)):
        for name in ('cat', 'dog'):
            (tmp_path / split / name).mkdir(parents=True)
            for number in range(count):
                Image.new('RGB', (32, 32)).save(tmp_path / split / name / f'{number:04}.jpg')
    assert prepare.cifar10(None, tmp_path).endswith('36 images for training, 4 for validation')
    assert (tmp_path / 'val.txt').read_text().splitlines()[-1] == 'dog/0010.jpg 1'


def test_bccd(tmp_path):
    """Pascal VOC's boxes, which count from 1 and to the last pixel, become COCO's; a box without size is dropped."""
    source = tmp_path / 'clone' / 'BCCD'
    for folder in ('ImageSets/Main', 'Annotations', 'JPEGImages'):
        (source / folder).mkdir(parents=True)
    for number, split in enumerate(prepare.SPLITS):
        (source / 'ImageSets/Main' / f'{split}.txt').write_text(f'a{number}\n')
        Image.new('RGB', (64, 48)).save(source / 'JPEGImages' / f'a{number}.jpg')
        objects = ''.join(OBJECT.format(*each) for each in (
            ('WBC', 1, 1, 64, 48), ('Platelets', 11, 21, 20, 25), ('RBC', 5, 5, 5, 9)))
        (source / 'Annotations' / f'a{number}.xml').write_text(
            f'<annotation><size><width>64</width><height>48</height></size>{objects}</annotation>')
    out = tmp_path / 'bccd'
    assert prepare.bccd(tmp_path / 'clone', out) == '; '.join(f'{split} 1 images, 2 boxes' for split in prepare.SPLITS)
    content = json.loads((out / 'annotations/val.json').read_text())
    assert [(box['category_id'], box['bbox'], box['area']) for box in content['annotations']] == [
        (2, [0, 0, 64, 48], 3072), (3, [10, 20, 10, 5], 50)]
    assert (out / 'images/a2.jpg').is_file()


def test_camvid(tmp_path):
    """Images and masks lie in ADE20K's layout, and void is 255."""
    for split in prepare.SPLITS:
        for folder, value in ((split, 7), (f'{split}annot', 11)):
            (tmp_path / 'CamVid' / folder).mkdir(parents=True)
            Image.fromarray(np.full((6, 8), value, np.uint8)).save(tmp_path / 'CamVid' / folder / 'f.png')
    out = tmp_path / 'out'
    assert prepare.camvid(tmp_path, out) == '; '.join(f'{split} 1 images' for split in prepare.SPLITS)
    assert set(np.unique(Image.open(out / 'annotations/test/f.png'))) == {255}
    assert set(np.unique(Image.open(out / 'images/test/f.png'))) == {7}


@pytest.mark.parametrize('arguments, message', [
    (['bccd'], 'needs --source'), (['camvid', '--source', 'nowhere'], 'nowhere'), (['bccd', '--source', '.'], 'ImageSets')])
def test_refusals(arguments, message, tmp_path):
    """Without a clone, or with another folder, the message says what is missing."""
    run = subprocess.run([sys.executable, '-m', 'mvit3_bench.cli', 'prepare', *arguments], capture_output=True, text=True,
                         check=False, cwd=tmp_path)
    assert run.returncode == 1 and message in run.stderr and 'Traceback' not in run.stderr
