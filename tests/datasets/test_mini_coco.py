"""The miniature COCO: the format of the real one, and annotations that fit the pictures exactly."""

import importlib
import json

import cv2
import numpy as np
import pytest

from mvit3_bench.datasets.mini import make_mini_coco
from mvit3_bench.datasets.mini.coco import DRAWN, MIN_SIDE, _polygons, _run_lengths

SPLITS = {'train2017': 6, 'val2017': 3}
SIZES = dict(train=6, val=3)


@pytest.fixture(scope='module')
def mini(tmp_path_factory):
    """A small miniature COCO, to be read only."""
    return make_mini_coco(tmp_path_factory.mktemp('mini') / 'coco', **SIZES)


@pytest.fixture(params=SPLITS)
def split(request):
    """Each split in turn."""
    return request.param


@pytest.fixture
def content(mini, split):
    """What the json of the split holds."""
    return json.loads((mini / 'annotations' / f'instances_{split}.json').read_text())


@pytest.fixture
def api(mini, split):
    """The split as pycocotools reads it."""
    coco = pytest.importorskip('pycocotools.coco', reason='needs pycocotools')
    return coco.COCO(str(mini / 'annotations' / f'instances_{split}.json'))


def test_categories_are_those_of_coco(content):
    """80 categories in the order of their ids, ten of which between 1 and 90 are not used."""
    categories = content['categories']
    ids = [each['id'] for each in categories]
    assert ids == sorted(set(range(1, 91)) - {12, 26, 29, 30, 45, 66, 68, 69, 71, 83})
    assert len({each['name'] for each in categories}) == 80
    assert len({each['supercategory'] for each in categories}) == 12
    names = {each['id']: each['name'] for each in categories}
    assert [names[number] for number in (1, 11, 13, 44, 46, 90)] == [
        'person', 'fire hydrant', 'stop sign', 'bottle', 'wine glass', 'toothbrush']


def test_images_are_those_of_the_json(mini, split, content):
    """Each file is named by its id with twelve digits and has the size that the json says."""
    images = content['images']
    assert len(images) == SPLITS[split]
    assert sorted(path.name for path in (mini / split).iterdir()) == [f"{each['id']:012d}.jpg" for each in images]
    for each in images:
        assert cv2.imread(str(mini / split / each['file_name'])).shape == (each['height'], each['width'], 3)


def test_ids_are_unique(mini):
    """No image and no annotation shares its id with another, in either split."""
    splits = [json.loads((mini / 'annotations' / f'instances_{split}.json').read_text()) for split in SPLITS]
    for kind in ('images', 'annotations'):
        ids = [each['id'] for content in splits for each in content[kind]]
        assert len(set(ids)) == len(ids) > 0


def test_every_drawn_category_is_in_every_split(content):
    """Each is there to be found, that is not only as a crowd, and there is no other."""
    names = {each['id']: each['name'] for each in content['categories']}
    assert {names[each['category_id']] for each in content['annotations'] if not each['iscrowd']} == set(DRAWN)


def test_annotations_fit_their_masks(api):
    """Boxes and areas are those of the pixels that pycocotools decodes, which no two things share."""
    for image_id, annotations in api.imgToAnns.items():
        image = api.imgs[image_id]
        seen = np.zeros((image['height'], image['width']), int)
        for each in annotations:
            mask = api.annToMask(each)
            seen += mask
            assert each['bbox'] == list(cv2.boundingRect(mask))
            assert each['area'] == mask.sum() > 0
            assert each['iscrowd'] == (min(each['bbox'][2:]) < MIN_SIDE)
            assert isinstance(each['segmentation'], dict if each['iscrowd'] else list)
        assert seen.max() == 1


def test_small_things_are_crowds(tmp_path):
    """A set of some size has a few of them."""
    root = make_mini_coco(tmp_path / 'coco', train=24, val=1)
    annotations = json.loads((root / 'annotations' / 'instances_train2017.json').read_text())['annotations']
    assert 0 < sum(each['iscrowd'] for each in annotations) < 0.2 * len(annotations)


@pytest.mark.parametrize('encode', [_polygons, _run_lengths])
def test_codes_are_exact(encode):
    """Whatever the mask, its code decodes to it: holes, islands in holes, single pixels, the picture's edge."""
    codes = pytest.importorskip('pycocotools.mask', reason='needs pycocotools')
    rng = np.random.default_rng(0)
    target = np.add.outer((np.arange(31) - 15)**2, (np.arange(40) - 20)**2)
    masks = [np.ones((5, 7), bool), target // 60 % 2 == 0, *(rng.random((20, 3, 50)) < 0.5)]
    masks += [cv2.resize(rng.random((6, 6)), (40, 30)) > 0.5 for _ in range(20)]
    for mask in masks:
        code = codes.frPyObjects(encode(mask), *mask.shape)
        decoded = codes.decode(codes.merge(code) if isinstance(code, list) else code)
        assert (decoded == mask).all()


def test_annotations_of_a_larger_set_begin_with_the_smaller(mini, tmp_path):
    """Ids do not depend on how many images there are."""
    smaller = make_mini_coco(tmp_path / 'smaller', train=2, val=1)
    for split in SPLITS:
        path = f'annotations/instances_{split}.json'
        few, many = (json.loads((root / path).read_text()) for root in (smaller, mini))
        for kind in ('images', 'annotations'):
            assert few[kind] == many[kind][:len(few[kind])]


def test_mmdet_reads_it(mini, split, api):
    """mmdet's own data set finds the images, the 80 classes in their order, the boxes and the masks."""
    pytest.importorskip('mmdet', reason='needs mmdetection')
    importlib.import_module('mvit3_bench.compat')  # first: mmcv-lite lacks operators mmdet imports
    from mmdet.datasets import CocoDataset
    from mmdet.utils import register_all_modules

    register_all_modules()
    dataset = CocoDataset(
        data_root=str(mini), ann_file=f'annotations/instances_{split}.json', data_prefix=dict(img=f'{split}/'),
        filter_cfg=dict(filter_empty_gt=True, min_size=32),
        pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True, with_mask=True)])
    assert len(dataset) == SPLITS[split]
    assert dataset.cat_ids == sorted(api.cats)
    assert dataset.metainfo['classes'] == tuple(api.cats[number]['name'] for number in dataset.cat_ids)
    for sample in dataset:
        annotations = api.imgToAnns[sample['img_id']]
        boxes = np.array([each['bbox'] for each in annotations])
        boxes[:, 2:] += boxes[:, :2]
        assert (sample['gt_bboxes'].numpy() == boxes).all()
        assert [dataset.cat_ids[label] for label in sample['gt_bboxes_labels']] == [
            each['category_id'] for each in annotations]
        assert (sample['gt_masks'].masks.sum((1, 2)) == [each['area'] for each in annotations]).all()
        assert (sample['gt_ignore_flags'] == [each['iscrowd'] for each in annotations]).all()


def test_mini_form_of_a_config(tmp_path):
    """--mini turns every path below the data root to the miniature, the evaluators' too, and leaves other paths alone."""
    config = pytest.importorskip('mmengine.config', reason='needs mmengine')
    to_mini = importlib.import_module('mvit3_bench.engine.mini').to_mini
    loader = dict(batch_size=32, dataset=dict(type='CocoDataset', data_root='data/coco/',
                                              pipeline=[dict(type='Resize', scale=(320, 320), keep_ratio=False)]))
    cfg = to_mini(config.Config(dict(
        model=dict(data_preprocessor=dict(type='DetDataPreprocessor')), param_scheduler=[], train_cfg=dict(max_epochs=200),
        default_hooks=dict(logger=dict(interval=50)),
        train_dataloader=loader, val_dataloader=loader, test_dataloader=loader,
        val_evaluator=dict(type='CocoMetric', ann_file='data/coco/annotations/instances_val2017.json'),
        test_evaluator=[dict(type='CocoMetric', ann_file='data/coco/annotations/instances_val2017.json'),
                        dict(type='DumpResults', out_file_path='data/coco_results.pkl')])), tmp_path)
    expected = str(tmp_path / 'coco' / 'annotations' / 'instances_val2017.json')
    assert cfg.val_evaluator.ann_file == cfg.test_evaluator[0].ann_file == expected
    assert (tmp_path / 'coco' / 'annotations' / 'instances_val2017.json').is_file()
    assert cfg.test_evaluator[1].out_file_path == 'data/coco_results.pkl'
    assert all(cfg[name].dataset.data_root == str(tmp_path / 'coco') for name in (
        'train_dataloader', 'val_dataloader', 'test_dataloader'))
    assert cfg.test_dataloader.dataset.pipeline[0].scale == (192, 192)
