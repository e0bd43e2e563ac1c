"""Checks of data sets before the start: lists, class folders, pairs, leaks. Each refusal names the file and the remedy."""
import io
import json
import shutil
from pathlib import Path

import conftest
import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

import mvit3_bench.compat  # noqa: F401  before mmseg

for framework in ('mmdet', 'mmseg', 'mmpretrain'):
    pytest.importorskip(framework, reason=f'{framework} is not installed')

from mvit3_bench.engine.checks import check_data  # noqa: E402
from mvit3_bench.engine.cli import UsageError, user_errors  # noqa: E402

TRAINING = 'train_dataloader', 'val_dataloader'
LIST = Path('ImageSets') / 'Segmentation'


def config(name: str, **options) -> Config:
    cfg = Config.fromfile(conftest.ROOT / 'configs' / f'{name}.py')
    cfg.merge_from_dict(options)
    return cfg


def refusal(cfg: Config, loaders=TRAINING) -> str:
    """What the checks say where they refuse a config."""
    with pytest.raises((UsageError, FileNotFoundError)) as error:
        check_data(cfg, loaders)
    return str(error.value)


@pytest.fixture
def warnings(monkeypatch):
    """The messages logged."""
    found = []
    for module in ('check_folders', 'check_leaks'):
        monkeypatch.setattr(f'mvit3_bench.engine.{module}.print_log', lambda text, **kwargs: found.append(text))
    return found


# ---- class folders ----------------------------------------------------------------------------------------------------

def make_classes(folder: Path, names) -> None:
    content = io.BytesIO()
    Image.new('RGB', (8, 8)).save(content, 'JPEG')
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / f'{folder.name}.jpg').write_bytes(content.getvalue())


@pytest.fixture
def imagenet(tmp_path):
    """ImageNet's layout with 1000 classes, and its config."""
    root = tmp_path / 'imagenet'
    for split in ('train', 'val'):
        make_classes(root / split, [f'n{number:08d}' for number in range(1000)])
    return root, config('cls/mvit3_xxs_in1k', **{f'{loader}_dataloader.dataset.data_root': str(root)
                                                 for loader in ('train', 'val', 'test')})


def test_imagenet_as_it_must_be(imagenet):
    check_data(imagenet[1], TRAINING)


def test_foreign_folder(imagenet):
    """One class missing and another folder make 1000 too, but all numbers are shifted."""
    root, cfg = imagenet
    shutil.rmtree(root / 'train' / 'n00000003')
    (root / 'train' / 'zzz_old').mkdir()
    message = refusal(cfg)
    assert str(root / 'train') in message and 'zzz_old' in message and 'eight digits' in message


@pytest.mark.parametrize('loaders', [TRAINING, ('test_dataloader',)])
def test_other_synset(imagenet, loaders):
    """Names of the right form are compared between the folders."""
    root, cfg = imagenet
    (root / 'val' / 'n00000003').rename(root / 'val' / 'n99999999')
    message = refusal(cfg, loaders)
    assert 'only in train: n00000003' in message and 'only in val: n99999999' in message


def test_class_missing_in_both(imagenet):
    root, cfg = imagenet
    for split in ('train', 'val'):
        shutil.rmtree(root / split / 'n00000500')
    message = refusal(cfg)
    assert '999 folders' in message and f'the same folder is missing in {root}/train and {root}/val' in message


def test_class_folders_too_deep(imagenet):
    root, cfg = imagenet
    (root / 'train').rename(root / 'x')
    (root / 'train').mkdir()
    (root / 'x').rename(root / 'train' / 'train')
    assert f'{root}/train/train: the folders of classes are one level too deep' in refusal(cfg)


def test_no_image_in_class_folders(imagenet):
    root, cfg = imagenet
    for image in (root / 'train').rglob('*.jpg'):
        image.rename(image.with_suffix('.webp'))
    message = refusal(cfg)
    assert str(root / 'train') in message and '.webp (1000)' in message and 'train_dataloader.dataset.extensions' in message


def test_imagenet_missing(imagenet):
    """The layout is told; data a level deeper are found."""
    root, cfg = imagenet
    root.rename(root.with_name('there'))
    message = refusal(cfg)
    assert 'train/CLASS/*.JPEG' in message and 'meta/train.txt' in message
    root.mkdir()
    root.with_name('there').rename(root / 'imagenet')
    message = refusal(cfg)
    assert f'in {root}/imagenet: set train_dataloader.dataset.data_root to it' in message


@pytest.fixture
def flowers(tmp_path):
    root = tmp_path / 'flowers'
    for split in ('train', 'val'):
        make_classes(root / split, ['daisy', 'rose', 'tulip'])
    cfg = config('cls/mvit3_xxs_imagenette128', **{'model.head.num_classes': 3})
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.update(data_root=str(root), metainfo=dict(classes=('daisy', 'rose', 'tulip')))
    return root, cfg


@pytest.mark.parametrize('loaders', [TRAINING, ('test_dataloader',)])
def test_other_classes(flowers, loaders):
    root, cfg = flowers
    check_data(cfg, loaders)
    (root / 'val' / 'tulip').rename(root / 'val' / 'poppy')
    message = refusal(cfg, loaders)
    assert 'only in train: tulip' in message and 'only in val: poppy' in message


# ---- lists ------------------------------------------------------------------------------------------------------------

@pytest.fixture
def voc(mini_data, tmp_path):
    """A copy of the miniature VOC2012, and a config that reads it."""
    root = shutil.copytree(mini_data / 'VOCdevkit' / 'VOC2012', tmp_path / 'VOC2012')
    cfg = config('seg/deeplabv3_mvit3_xxs_voc2012')
    for part in (*cfg.train_dataloader.dataset.datasets, cfg.val_dataloader.dataset, cfg.test_dataloader.dataset):
        part.data_root = str(root)
    return root, cfg


def test_voc_as_it_must_be(voc, warnings):
    for end in ('\n', ' \r\n'):
        for name in ('train', 'aug', 'val'):
            file = voc[0] / LIST / f'{name}.txt'
            file.write_bytes(file.read_text().replace('\n', end).encode())
        check_data(voc[1], TRAINING)
    assert not warnings


@pytest.mark.parametrize('change, part', [
    (lambda text: b'', 'is empty'), (lambda text: b'\n\n', 'is empty'),
    (lambda text: text.encode('utf-16'), 'is not UTF-8 text without BOM: save it as UTF-8'),
    (lambda text: text.encode('utf-8-sig'), 'is not UTF-8 text without BOM: save it as UTF-8'),
    (lambda text: text.encode('utf-16-le'), 'is not UTF-8 text without BOM: save it as UTF-8'),
    (lambda text: f'{text}\n'.encode(), 'line 19 is empty: remove it'),
    (lambda text: text.replace('\n', '.jpg\n').encode(), 'the list must hold names without suffix: '),
    (lambda text: text.replace('\n', ' -1\n').encode(), 'the list must hold names without suffix and label: ')])
def test_list_of_names(voc, change, part):
    root, cfg = voc
    file = root / LIST / 'val.txt'
    file.write_bytes(change(file.read_text()))
    for loaders in (TRAINING, ('test_dataloader',)):
        message = refusal(cfg, loaders)
        assert str(file) in message and part in message


def test_folder_in_place_of_a_list(voc):
    root, cfg = voc
    cfg.val_dataloader.dataset.ann_file = str(LIST)
    assert f'{root / LIST} is a folder, not a list' in refusal(cfg)


@pytest.mark.parametrize('suffix', ['.jpeg', '.JPG'])
def test_other_suffix_than_listed(voc, suffix):
    root, cfg = voc
    for image in (root / 'JPEGImages').iterdir():
        image.rename(image.with_suffix(suffix))
    assert f'ends in {suffix}: set val_dataloader.dataset.img_suffix' in refusal(cfg, ('val_dataloader',))
    cfg.val_dataloader.dataset.img_suffix = suffix
    check_data(cfg, ('val_dataloader',))


def test_without_sbd(voc):
    root, cfg = voc
    shutil.rmtree(root / 'SegmentationClassAug')
    message = refusal(cfg)
    assert 'tools/dataset_converters/voc_aug.py' in message and 'docs/segmentation.md' in message


@pytest.fixture
def listed(mini_data, tmp_path):
    """A copy of the miniature ImageNet, with its lists, and a config that reads it."""
    root = shutil.copytree(mini_data / 'imagenet', tmp_path / 'imagenet')
    return root, config('cls/mvit3_xxs_in1k', **{f'{loader}_dataloader.dataset.data_root': str(root)
                                                 for loader in ('train', 'val', 'test')})


@pytest.mark.parametrize('change, parts', [
    (lambda text: '', ['val.txt is empty']),
    (lambda text: text.replace('\n', '\n\n', 1), ['val.txt, line 2 is empty']),
    (lambda text: text.replace(' ', '  '), ['val.txt, line 1', 'more than one space']),
    (lambda text: ''.join(f'val/{line}\n' for line in text.splitlines()),
     ['val.txt, line 1', 'no file', 'without val/ before them']),
    (lambda text: text + 'ILSVRC2012_val_00050000.JPEG 3\n', ['val.txt, line 81', '50000.JPEG is no file', 'remove'])])
def test_list_of_classes(listed, change, parts):
    root, cfg = listed
    check_data(cfg, TRAINING)
    file = root / 'meta' / 'val.txt'
    file.write_text(change(file.read_text()))
    message = refusal(cfg)
    assert all(part in message for part in parts), message


# ---- pairs of images and masks ----------------------------------------------------------------------------------------

@pytest.fixture
def camvid(tmp_path):
    """A small data set in CamVid's layout, and its config."""
    root = tmp_path / 'camvid'
    for split in ('train', 'val'):
        for kind, suffix in (('images', '.jpg'), ('annotations', '.png')):
            (root / kind / split).mkdir(parents=True)
            for number in range(4):
                Image.fromarray(np.zeros((8, 8), np.uint8)).save(root / kind / split / f'{number}{suffix}')
    return root, config('seg/deeplabv3_mvit3_xxs_camvid', **{
        f'{loader}_dataloader.dataset.data_root': str(root) for loader in ('train', 'val', 'test')})


def test_image_without_mask(camvid):
    root, cfg = camvid
    (root / 'annotations' / 'train' / '2.png').unlink()
    message = refusal(cfg)
    assert '1 of 4 images' in message and '2.jpg' in message and str(root / 'annotations' / 'train') in message


def test_files_that_take_no_part(camvid, warnings):
    root, cfg = camvid
    check_data(cfg, TRAINING)
    assert not warnings
    (root / 'images' / 'train' / '1.jpg').unlink()
    (root / 'images' / 'val' / '3.jpg').rename(root / 'images' / 'val' / '3.JPG')
    (root / 'images' / 'val' / '._2.jpg').touch()
    check_data(cfg, TRAINING)
    assert f'{root}/annotations/train: 1 files are masks without an image' in warnings[0] and '1.png' in warnings[0]
    assert f'{root}/images/val: 1 files do not end in .jpg' in warnings[1] and '3.JPG' in warnings[1]
    assert len(warnings) == 3


def test_no_image_of_this_suffix(camvid):
    root, cfg = camvid
    for image in (root / 'images' / 'val').iterdir():
        image.rename(image.with_suffix('.JPG'))
    message = refusal(cfg)
    assert all(part in message for part in (str(root / 'images' / 'val'), '.JPG (4)', 'val_dataloader.dataset.img_suffix'))


# ---- leaks ------------------------------------------------------------------------------------------------------------

def test_validation_in_a_training_list(voc, warnings):
    root, cfg = voc
    file = root / LIST / 'aug.txt'
    names = (root / LIST / 'val.txt').read_text()
    shutil.copytree(root / 'SegmentationClass', root / 'SegmentationClassAug', dirs_exist_ok=True)
    file.write_text(file.read_text() + names)
    message = refusal(cfg)
    assert all(part in message for part in ('18 of 18 images', str(file), 'val.txt', names.split()[0], 'take them out'))
    cfg.train_dataloader.dataset.datasets[1].indices = 4
    check_data(cfg, TRAINING)  # such a subset may leave them out
    assert '18 of 18 images' in warnings[-1]


def test_repeated_images(voc, warnings):
    root, cfg = voc
    file = root / LIST / 'aug.txt'
    stem = file.read_text().split()[0]
    file.write_text(file.read_text() + f'{stem}\n')
    check_data(cfg, TRAINING)
    assert '1 images are more than once' in warnings[0] and stem in warnings[0]


def test_test_on_training_images(voc, warnings):
    """It may be on purpose."""
    cfg = voc[1]
    cfg.test_dataloader.dataset.ann_file = str(LIST / 'train.txt')
    check_data(cfg, ('test_dataloader',))
    assert 'test_dataloader reads the images that the config trains on' in warnings[0]


@pytest.fixture
def coco(mini_data):
    root = mini_data / 'coco'
    cfg = config('det/ssdlite_mvit3_xxs_coco')
    for loader in ('train', 'val', 'test'):
        cfg[f'{loader}_dataloader'].dataset.data_root = str(root)
    cfg.val_evaluator.ann_file = cfg.test_evaluator.ann_file = str(root / 'annotations' / 'instances_val2017.json')
    return root, cfg


def test_validation_on_the_training_json(coco):
    root, cfg = coco
    check_data(cfg, TRAINING)
    file = 'annotations/instances_train2017.json'
    cfg.val_dataloader.dataset.update(ann_file=file, data_prefix=dict(img='train2017'))
    cfg.val_evaluator.ann_file = str(root / file)
    assert '120 of 120 images' in refusal(cfg)


# ---- evaluators -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize('several', [False, True])
def test_json_of_the_evaluator(coco, tmp_path, several):
    root, cfg = coco
    good = root / 'annotations' / 'instances_val2017.json'
    content = json.loads(good.read_text())
    smaller = tmp_path / 'smaller.json'
    smaller.write_text(json.dumps(content | dict(images=content['images'][3:])))
    copied = shutil.copy(good, tmp_path / 'copied.json')
    for file, part in (('absent.json', 'absent.json does not exist'), (smaller, 'lacks 3'), (copied, None)):
        evaluator = dict(cfg.test_evaluator, ann_file=str(file))
        cfg.test_evaluator = [evaluator] if several else evaluator
        if part is None:
            check_data(cfg, ('test_dataloader',))
            continue
        message = refusal(cfg, ('test_dataloader',))
        key = f'test_evaluator.{"0." if several else ""}ann_file'
        assert part in message and message.startswith(key) and f'{key}={good}' in message
        cfg.test_evaluator = evaluator


def test_list_errors_are_the_users():
    """What reads lists knows nothing of the tools; they make its errors their own."""
    from mvit3_bench.datasets.lists import read_list
    with pytest.raises(UsageError, match='is a folder'), user_errors(ValueError):
        read_list(conftest.ROOT)
