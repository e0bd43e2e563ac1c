"""Checks of data sets before the start: lists, class folders, pairs, leaks. Each refusal names the file and the fix."""
import io
import json
import os
import re
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

import mmseg.datasets  # noqa: E402

from mvit3_bench.datasets.checks.data import check_data  # noqa: E402
from mvit3_bench.errors import UsageError, user_errors  # noqa: E402

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
    for module in ('folders', 'leaks'):
        monkeypatch.setattr(f'mvit3_bench.datasets.checks.{module}.print_log', lambda text, **kwargs: found.append(text))
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
    cfg = config('cls/mvit3_xxs_imagenette128', **{
        'model.head.num_classes': 3, 'val_evaluator.topk': (1,), 'test_evaluator.topk': (1,)})
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


# ---- stock types in their own layout ----------------------------------------------------------------------------------

def write_json(file: Path, ids=(1,), **parts) -> None:
    """A json in COCO's format, of images with a box each; a part that is None is left out."""
    content = dict(
        categories=[dict(id=1, name='cat'), dict(id=2, name='dog')],
        images=[dict(id=number, file_name=f'{number}.jpg', width=10, height=10) for number in ids],
        annotations=[dict(id=number, image_id=number, category_id=1, area=9, iscrowd=0, bbox=[1, 1, 3, 3])
                     for number in ids]) | parts
    file.write_text(json.dumps({key: part for key, part in content.items() if part is not None}))


@pytest.fixture
def layouts(tmp_path, monkeypatch):
    """Folders in the layouts of several types, in the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('HOME', str(tmp_path))
    for folder in ('cifar10', 'coco/img', 'coco/seg', 'masks/img', 'masks/ann', 'ssl/val'):
        Path(folder).mkdir(parents=True)
    make_classes(Path('pets'), ['cat', 'dog'])
    make_classes(Path('ssl/train'), ['n00000000', 'n00000001'])
    for file in ('coco/img/1.jpg', 'coco/img/2.jpg', 'masks/img/1.png', 'masks/ann/1_m.png', 'ssl/val/1.JPEG'):
        Path(file).touch()
    Path('broken').symlink_to('/nonexistent')
    Path('coco/classes.txt').write_text('cat\ndog\n')
    write_json(Path('coco/one.json'))
    write_json(Path('coco/two.json'), ids=(2,))
    write_json(Path('coco/both.json'), ids=(1, 2))
    write_json(Path('coco/test-dev.json'), annotations=None)
    write_json(Path('coco/unlabelled.json'), annotations=[])
    write_json(Path('coco/panoptic.json'), annotations=[dict(image_id=1, file_name='1.png', segments_info=[
        dict(id=5, category_id=1, iscrowd=0, bbox=[0, 0, 4, 4], area=16)])])


@mmseg.registry.DATASETS.register_module()
class OwnSuffixes(mmseg.datasets.BaseSegDataset):
    METAINFO = dict(classes=('a', 'b'), palette=[[0, 0, 0], [1, 1, 1]])

    def __init__(self, **kwargs):
        super().__init__(img_suffix='.png', seg_map_suffix='_m.png', **kwargs)


def fold(test_mode: bool) -> dict:
    return dict(type='KFoldDataset', fold=0, num_splits=2, test_mode=test_mode,
                dataset=dict(type='CustomDataset', data_root='pets'))


def joined(*parts) -> dict:
    return dict(type='ConcatDataset', datasets=list(parts))


COCO = dict(type='CocoDataset', data_root='coco', ann_file='one.json', data_prefix=dict(img='img'),
            metainfo=dict(classes=('cat', 'dog')))
PANOPTIC = dict(COCO, type='CocoPanopticDataset', ann_file='panoptic.json', data_prefix=dict(img='img', seg='seg'))
TWO_CLASSES = dict(head=dict(num_classes=2))


def unbuilt(scope: str, model: dict, **loaders) -> Config:
    """A config of data sets alone, given by their loaders."""
    return Config(dict(default_scope=scope, model=model) | {
        f'{name}_dataloader': dict(dataset=dataset) for name, dataset in loaders.items()})


@pytest.mark.parametrize('scope, model, loaders', [
    ('mmpretrain', {}, dict(train=dict(type='CIFAR10', data_root='cifar10', split='train'))),
    ('mmpretrain', TWO_CLASSES, dict(train=fold(False), val=fold(True))),
    ('mmpretrain', {}, dict(train=dict(type='Foreign', path='/x'))),
    ('mmpretrain', dict(type='SimCLR'), dict(train=dict(type='ImageNet', data_root='ssl', split='train'))),
    ('mmpretrain', dict(head=None), dict(train=dict(type='CustomDataset', data_root='pets'))),
    ('mmpretrain', TWO_CLASSES, dict(train=dict(type='CustomDataset', data_prefix='~/pets'))),
    ('mmpretrain', dict(TWO_CLASSES, data_preprocessor=dict(num_classes=1000)),
     dict(train=dict(type='CustomDataset', data_root='pets'))),
    ('mmseg', {}, dict(train=dict(type='BaseSegDataset', data_root='s3://bucket/x', data_prefix=dict(img_path='img')))),
    ('mmseg', {}, dict(train=dict(type='BaseSegDataset', data_root='absent', backend_args=dict(backend='petrel')))),
    ('mmseg', {}, dict(train=dict(type='OwnSuffixes', data_root='masks',
                                  data_prefix=dict(img_path='img', seg_map_path='ann')))),
    ('mmdet', {}, dict(train=PANOPTIC)),
    ('mmdet', {}, dict(test=dict(COCO, ann_file='test-dev.json', test_mode=True))),
    ('mmdet', {}, dict(train=dict(COCO, metainfo=dict(classes='coco/classes.txt')))),
    ('mmdet', {}, dict(train=joined(COCO, dict(COCO, ann_file='unlabelled.json')))),
    ('mmdet', dict(bbox_head=[dict(num_classes=2)]), dict(train=COCO))], ids=[
        'split that is no folder', 'folds', 'foreign', 'unlabelled training', 'no head', 'home', 'no mixup', 'remote',
        'backend', 'own suffixes', 'panoptic', 'no annotations', 'file of classes', 'part without boxes', 'several heads'])
def test_stock_types(layouts, scope, model, loaders):
    """What its own framework reads is not refused."""
    check_data(unbuilt(scope, model, **loaders), tuple(f'{name}_dataloader' for name in loaders))


@pytest.mark.parametrize('metric', ['CocoMetric', 'mvit3_bench.CocoMetric'])
def test_evaluator_of_joined_sets(layouts, metric):
    cfg = unbuilt('mmdet', {}, val=joined(COCO, dict(COCO, ann_file='two.json')))
    cfg.val_evaluator = dict(type=metric, ann_file='coco/both.json')
    check_data(cfg, ('val_dataloader',))
    cfg.val_evaluator.ann_file = 'coco/two.json'
    message = refusal(cfg, ('val_dataloader',))
    assert 'lacks 1' in message and 'a json of all images of val_dataloader' in message


@pytest.mark.parametrize('format_only', [True, False])
def test_no_annotations_to_compare_with(layouts, format_only):
    """Those of COCO's test-dev are not public: predictions can be written, not scored."""
    cfg = unbuilt('mmdet', {}, test=dict(COCO, ann_file='test-dev.json', test_mode=True))
    cfg.test_evaluator = dict(type='CocoMetric', ann_file='coco/test-dev.json', format_only=format_only)
    if format_only:
        check_data(cfg, ('test_dataloader',))
    else:
        assert "coco/test-dev.json is not a json in COCO's format: KeyError: 'annotations'" in refusal(
            cfg, ('test_dataloader',))


def test_training_without_a_box(layouts):
    cfg = unbuilt('mmdet', {}, train=joined(dict(COCO, ann_file='unlabelled.json')))
    assert 'no image of coco/unlabelled.json has a box' in refusal(cfg, ('train_dataloader',))


@pytest.mark.parametrize('scope, dataset', [
    ('mmdet', dict(COCO, metainfo=dict(classes='cat'))),
    ('mmseg', dict(type='BaseSegDataset', data_root='masks', data_prefix=dict(img_path='img', seg_map_path='ann'),
                   metainfo=dict(classes='cat'))),
    ('mmpretrain', dict(type='CustomDataset', data_root='pets', metainfo=dict(classes='cat'))),
    ('mmpretrain', dict(type='CustomDataset', data_root='pets', classes='cat'))])
def test_classes_are_a_text(layouts, scope, dataset):
    """In place of a list, for a single class: MMEngine would take its letters, or the set would go unchecked."""
    cfg = unbuilt(scope, {}, train=dataset)
    message = refusal(cfg, ('train_dataloader',))
    assert "classes='cat' is neither a list of names nor a file" in message and "it is ['cat']" in message


ODD = [b'a%d', b'[a]', b'\xe9', b'\x1b[2J', b'{0}']  # stems of files, as Linux may have them


@pytest.mark.parametrize('scope, dataset', [
    ('mmdet', dict(COCO, ann_file='odd.json')),
    ('mmseg', dict(type='BaseSegDataset', data_root='odd', data_prefix=dict(img_path='cat', seg_map_path='ann'),
                   metainfo=dict(classes=('a', 'b')))),
    ('mmpretrain', dict(type='CustomDataset', data_root='odd', data_prefix='class'))])
def test_odd_names_of_files(layouts, scope, dataset):
    """In all three tasks they pass the check, are loaded and have a fingerprint; what is refused is told in plain text."""
    from mmengine.registry import DATASETS, init_default_scope

    from mvit3_bench.engine.run_info import fingerprint
    image = io.BytesIO()
    Image.new('RGB', (10, 10)).save(image, 'JPEG')
    for folder in ('coco/img', 'odd/cat', 'odd/class/cat'):
        Path(folder).mkdir(parents=True, exist_ok=True)
        for stem in ODD:
            Path(folder, os.fsdecode(stem + b'.jpg')).write_bytes(image.getvalue())
    Path('odd/ann').mkdir()
    for stem in ODD:
        Image.new('L', (10, 10)).save(Path('odd/ann', os.fsdecode(stem + b'.png')))
    write_json(Path('coco/odd.json'), images=[dict(id=number, file_name=os.fsdecode(stem + b'.jpg'), width=10, height=10)
                                              for number, stem in enumerate(ODD)])
    cfg = unbuilt(scope, {}, train=dict(dataset, pipeline=[dict(type='mvit3_bench.Load', transforms=[
        dict(type='LoadImageFromFile')])], test_mode=True))
    check_data(cfg, ('train_dataloader',))
    init_default_scope(scope)
    built = DATASETS.build(cfg.train_dataloader.dataset)
    assert sorted(os.path.splitext(os.path.basename(os.fsencode(sample['img_path'])))[0] for sample in built) == sorted(ODD)
    assert fingerprint(built)['samples'] == len(ODD)
    for folder in ('coco/img', 'odd/ann', 'odd/class/cat'):
        for path in Path(folder).iterdir():
            path.unlink()
    assert '\x1b' not in refusal(cfg, ('train_dataloader',))


def test_class_folder_that_is_no_text(layouts):
    """Checkpoints, tables and pictures have its name: it is refused, and escaped in the message."""
    make_classes(Path('bytes'), [os.fsdecode(b'caf\xe9'), 'dog'])
    cfg = unbuilt('mmpretrain', {}, train=dict(type='CustomDataset', data_root='bytes'))
    assert "are not UTF-8: caf\\udce9" in refusal(cfg, ('train_dataloader',))


def test_root_missing(layouts):
    cfg = unbuilt('mmpretrain', TWO_CLASSES, train=dict(type='CustomDataset', data_root='absent'))
    message = refusal(cfg, ('train_dataloader',))
    assert 'missing: absent' in message and 'CLASS/*.jpg' in message and '--mini' in message


def test_labels_of_no_classes():
    """The hook has nothing to check where the data set has no classes."""
    from mvit3_bench.engine.hooks.check_labels import CheckLabelsHook
    runner = Config(dict(train_dataloader=dict(dataset=dict(metainfo={}))))
    CheckLabelsHook().before_train_iter(runner, 0, dict(data_samples=[]))


# ---- what people's own data look like ---------------------------------------------------------------------------------

@pytest.mark.parametrize('classes', [('tulip', 'rose', 'daisy'), ('daisy', 'tulip', 'rose')])
def test_class_names_in_another_order(flowers, classes):
    """Names that are those of the folders must stand in their order; other names are free."""
    root, cfg = flowers
    cfg.val_dataloader.dataset.metainfo = cfg.train_dataloader.dataset.metainfo = dict(classes=('Daisy', 'Rose', 'Tulip'))
    check_data(cfg, TRAINING)
    cfg.train_dataloader.dataset.metainfo = dict(classes=classes)
    message = refusal(cfg)
    assert 'another order' in message and 'daisy, rose, tulip' in message and 'train_dataloader.dataset' in message


def test_class_numbers_as_names(tmp_path):
    """Folders 1, 2, 10 are numbered 1, 10, 2."""
    make_classes(tmp_path / 'train', ['1', '2', '10'])
    dataset = dict(type='CustomDataset', data_root=str(tmp_path), data_prefix='train',
                   metainfo=dict(classes=('1', '2', '10')))
    assert '1, 10, 2' in refusal(unbuilt('mmpretrain', dict(head=dict(num_classes=3)), train=dataset), TRAINING[:1])


@pytest.mark.parametrize('first, is_right', [
    ((65, 970, 230, 809, 516), True), ((490, 361, 171, 822, 297), False), ((489, 360, 170, 821, 296), False)])
def test_imagenet_list_of_the_devkit(tmp_path, first, is_right):
    """The devkit numbers the classes in another order than all weights: top-1 would be 0.1 %."""
    from mvit3_bench.datasets.checks.lists import check_labelled
    names = [f'ILSVRC2012_val_{number:08d}.JPEG' for number in range(1, 6)]
    for name in names:
        (tmp_path / name).touch()
    file = tmp_path / 'val.txt'
    file.write_text(''.join(f'{name} {label}\n' for name, label in zip(names, first, strict=True)))
    if is_right:
        assert check_labelled(file, tmp_path, 1000) == names
    else:
        with pytest.raises(UsageError, match='in the order of synsets it is 65'):
            check_labelled(file, tmp_path, 1000)


def test_list_in_the_format_of_deeplab(voc):
    """Image and mask in each line: the names alone are wanted."""
    root, cfg = voc
    file = root / LIST / 'val.txt'
    stem = file.read_text().split()[0]
    file.write_text(f'/JPEGImages/{stem}.jpg /SegmentationClassAug/{stem}.png\n')
    message = refusal(cfg, ('val_dataloader',))
    assert 'format of DeepLab' in message and f'{stem} in place of' in message


def test_list_of_train_and_aug(voc):
    """trainaug.txt in place of aug.txt: a line that makes the latter."""
    root, cfg = voc
    (root / LIST / 'aug.txt').rename(root / LIST / 'trainaug.txt')
    message = refusal(cfg)
    assert 'grep -vxFf train.txt trainaug.txt > aug.txt' in message and 'voc_aug' not in message


@pytest.mark.parametrize('name, options, parts', [
    ('cls/mvit3_xxs_imagenette128', {'model.head.num_classes': 3, 'val_evaluator.topk': (1, 5)},
     ('val_evaluator.topk=(1, 5), but there are 3 classes', '[1]')),
    ('seg/deeplabv3_mvit3_xxs_camvid', {'model.decode_head.num_classes': 1}, ('model.decode_head has one score', 'softmax')),
    ('seg/deeplabv3_mvit3_xxs_camvid', {'model.data_preprocessor.size': (64, 64)}, ('the crop is larger',))])
def test_settings_that_contradict_each_other(name, options, parts):
    """Scores among more classes than there are, a softmax over one score, a crop larger than the batch."""
    from mvit3_bench.datasets.checks.settings import check_settings
    check_settings(config(name))
    with pytest.raises(UsageError) as error:
        check_settings(config(name, **options))
    assert all(part in str(error.value) for part in parts), error.value


def test_sigmoid_as_told():
    """The settings that the refusal of one score tells make a model."""
    from mmengine.registry import MODELS, init_default_scope

    from mvit3_bench.datasets.checks.settings import check_settings
    from mvit3_bench.engine.options import merge_options
    name = 'seg/deeplabv3_mvit3_xxs_camvid'
    with pytest.raises(UsageError) as error:
        check_settings(config(name, **{'model.decode_head.num_classes': 1}))
    words = re.search(r'set (.*), background .* for one score, (.*), (.*), (.*) and (.*) beside it', error.value.fix)
    cfg = config(name)
    merge_options(cfg, [words[1], *(f'model.decode_head.{word}' for word in words.groups()[1:])])
    init_default_scope(cfg.default_scope)
    assert MODELS.build(cfg.model).decode_head.loss_decode.use_sigmoid


def test_padding_is_told(monkeypatch):
    """A crop much smaller than the size to which batches are padded."""
    from mvit3_bench.datasets.checks import settings
    found = []
    monkeypatch.setattr(settings, 'print_log', lambda text, **kwargs: found.append(text))
    settings.check_settings(config('seg/deeplabv3_mvit3_xxs_camvid', **{'model.data_preprocessor.size': (2048, 2048)}))
    assert len(found) == 1 and '% of each image is padding' in found[0]
