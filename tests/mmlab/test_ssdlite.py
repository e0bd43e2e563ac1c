"""SSDLite trains and is tested in mmdet: losses, anchors, metrics, mmdet's own SSD, and what is said to bad annotations."""
import json
import shutil

import conftest
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image
from torch.testing import assert_close

from mvit3_bench.datasets.checks.data import check_data
from mvit3_bench.errors import UsageError
from mvit3_bench.registry import MODELS

pytest.importorskip('mmdet', reason='mmdetection is not installed')

CONFIG = conftest.ROOT / 'configs' / 'det' / 'ssdlite_mvit3_xxs_coco.py'
BCCD = conftest.ROOT / 'configs' / 'det' / 'ssdlite_mvit3_xxs_bccd.py'


def build(cfg=None) -> torch.nn.Module:
    torch.manual_seed(0)
    model = MODELS.build((cfg or Config.fromfile(CONFIG).model) | dict(_scope_='mmdet'))
    model.init_weights()
    return model


def batch(*boxes_of_images) -> dict:
    """Noise images of 320x320 with the boxes given for each, all of class 17."""
    from mmdet.structures import DetDataSample
    from mmengine.structures import InstanceData
    images, samples = [], []
    for boxes in boxes_of_images:
        images.append(torch.randint(0, 256, (3, 320, 320), dtype=torch.uint8))
        samples.append(DetDataSample(
            metainfo=dict(img_id=0, img_shape=(320, 320), ori_shape=(640, 480), scale_factor=(0.5, 2 / 3)),
            gt_instances=InstanceData(bboxes=torch.tensor(boxes).reshape(-1, 4), labels=torch.full((len(boxes),), 17))))
    return dict(inputs=images, data_samples=samples)


def losses(model, data) -> dict:
    return model(**model.data_preprocessor(data, training=True), mode='loss')


def test_training_step():
    """A few steps lower the loss, and every parameter has a gradient from it, the stem's too."""
    model = build().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    data = batch([[20.0, 30.0, 120.0, 200.0]], [[100.0, 100.0, 300.0, 250.0], [5.0, 5.0, 60.0, 50.0]])
    totals = []
    for _ in range(5):
        parts = losses(model, data)
        assert set(parts) == {'loss_cls', 'loss_bbox'}
        total = sum(part.sum() for value in parts.values() for part in value)
        optimizer.zero_grad()
        total.backward()
        if not totals:
            assert not [key for key, p in model.named_parameters() if p.grad is None]
            assert model.backbone.stem.conv.weight.grad.abs().sum() > 0
        optimizer.step()
        totals.append(total.item())
    assert np.isfinite(totals).all() and totals[-1] < 0.8 * totals[0]


def test_hard_negatives():
    """Anchors of IoU 0.5 and the best one of a box are positive; of the others, three for each positive cost most."""
    model = build().train()
    head = model.bbox_head
    sizes = [(20, 20), (10, 10), (5, 5), (3, 3), (2, 2), (1, 1)]
    scores = [torch.zeros(1, a * 81, h, w) for (h, w), a in zip(sizes, head.num_base_priors, strict=True)]
    offsets = [torch.zeros(1, a * 4, h, w) for (h, w), a in zip(sizes, head.num_base_priors, strict=True)]
    data = batch([[100.0, 100.0, 164.0, 164.0]])['data_samples']
    metas = [data[0].metainfo | dict(pad_shape=(320, 320))]
    parts = head.loss_by_feat(scores, offsets, [data[0].gt_instances], metas)
    # all logits equal: each positive and each negative costs ln 81, four for each positive
    assert_close(parts['loss_cls'][0].item(), 4 * np.log(81), rtol=1e-5, atol=0)


def test_image_without_boxes():
    """It has no loss, alone and beside others, and none that is NaN; it does not count as a positive."""
    model = build().train()
    box = [[20.0, 30.0, 120.0, 200.0]]
    for data in (batch([], []), batch([], box)):
        parts = losses(model, data)
        assert all(torch.isfinite(part).all() for value in parts.values() for part in value)
        assert parts['loss_cls'][0].item() == parts['loss_bbox'][0].item() == 0
    truth = batch(box, [])['data_samples']
    anchors, flags = model.bbox_head.get_anchors([(20, 20), (10, 10), (5, 5), (3, 3), (2, 2), (1, 1)],
                                                 [dict(pad_shape=(320, 320))] * 2, device='cpu')
    divisors = [model.bbox_head.get_targets(anchors[:count], flags[:count],
                                            [sample.gt_instances for sample in truth[:count]],
                                            [sample.metainfo for sample in truth[:count]])[-1] for count in (1, 2)]
    assert divisors[0] == divisors[1] > 0


@pytest.mark.parametrize('height, width', [(320, 320), (640, 640), (256, 480), (300, 333)])
def test_any_size(height, width):
    """Anchors are the same fractions of any image whose sides are multiples of 16; others work as well."""
    model = build().eval()
    model.bbox_head.test_cfg.update(max_per_class=400, max_per_img=200)  # all scores of an untrained model are alike
    with torch.no_grad():
        logits, offsets = model(torch.rand(1, 3, height, width), mode='tensor')
    sizes = [level.shape[2:] for level in logits]
    anchors = model.bbox_head.prior_generator.grid_priors(sizes, device='cpu')
    assert [len(a) for a in anchors] == [h * w * a for (h, w), a in zip(sizes, [6, 6, 6, 6, 6, 4], strict=True)]
    middle = anchors[-1][0] / torch.tensor([width, height] * 2)  # of a square of 0.8914 of the image
    if height % 16 == width % 16 == 0:
        assert_close(middle, torch.tensor([0.5 - 0.44583, 0.5 - 0.44583, 0.5 + 0.44583, 0.5 + 0.44583]), rtol=0, atol=1e-4)
    meta = dict(img_shape=(height, width), scale_factor=(1.0, 1.0))
    assert len(model.bbox_head.predict_by_feat(logits, offsets, batch_img_metas=[meta])[0]) <= 200


def test_predictions():
    """Boxes are those of the image before it was resized; nothing above the threshold gives no boxes."""
    model = build().eval()
    data = model.data_preprocessor(batch([]))
    with torch.no_grad():
        scaled = model(**data, mode='predict')[0].pred_instances
        data['data_samples'][0].set_metainfo(dict(scale_factor=(1.0, 1.0)))
        plain = model(**data, mode='predict')[0].pred_instances
        assert_close(scaled.bboxes, plain.bboxes * torch.tensor([2, 1.5, 2, 1.5]), rtol=1e-4, atol=1e-2)
        assert len(plain) and (plain.scores.diff() <= 0).all()
        model.bbox_head.test_cfg.score_thr = 1.0
        nothing = model(**data, mode='predict')[0].pred_instances
    assert nothing.bboxes.shape == (0, 4) and len(nothing.scores) == len(nothing.labels) == 0


def test_stock_ssd_predicts():
    """mmdet's own SSDHead, which has no loss_cls, predicts once our package is imported; a loss_cls of its own it keeps."""
    from mmdet.models import SSDHead
    norm_cfg = dict(type='BN')
    levels = (96, 64)
    cfg = Config(dict(model=dict(
        type='SingleStageDetector',
        data_preprocessor=dict(type='DetDataPreprocessor'),
        backbone=dict(type='MobileNetV2', out_indices=(4,), norm_cfg=norm_cfg),
        neck=dict(type='SSDNeck', in_channels=levels[:1], out_channels=levels, level_strides=(2,), level_paddings=(1,),
                  l2_norm_scale=None, use_depthwise=True, norm_cfg=norm_cfg),
        bbox_head=dict(
            type='SSDHead', in_channels=levels, num_classes=3, use_depthwise=True, norm_cfg=norm_cfg,
            act_cfg=dict(type='ReLU'),
            anchor_generator=dict(type='SSDAnchorGenerator', scale_major=False, strides=[16, 32], ratios=[[2], [2]],
                                  min_sizes=[48, 100], max_sizes=[100, 150])),
        test_cfg=dict(nms_pre=100, nms=dict(type='nms', iou_threshold=0.45), min_bbox_size=0, score_thr=0.02,
                      max_per_img=10)))).model
    model = build(cfg).eval()
    with torch.no_grad():
        found = model.test_step(batch([]))[0].pred_instances
    assert 0 < len(found) <= 10

    class WithLoss(SSDHead):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.loss_cls = torch.nn.Identity()

    arguments = dict(cfg.bbox_head)
    arguments.pop('type')
    with DefaultScope.overwrite_default_scope('mmdet'):
        assert isinstance(WithLoss(**arguments).loss_cls, torch.nn.Identity)
    with pytest.raises(AttributeError, match='loss_bbox'):
        _ = model.bbox_head.loss_bbox


# ---- annotations: a data set of four images in the format of BCCD ------------------------------------------------------

@pytest.fixture
def cells(tmp_path, monkeypatch):
    """A data set of four images, the config for it, and a function that changes its json."""
    root = tmp_path / 'data' / 'bccd'
    (root / 'images').mkdir(parents=True)
    (root / 'annotations').mkdir()
    rng = np.random.RandomState(0)
    images, annotations = [], []
    for i in range(4):
        Image.fromarray(rng.randint(0, 256, (96, 128, 3), dtype=np.uint8)).save(root / 'images' / f'{i}.jpg')
        images.append(dict(id=i, file_name=f'{i}.jpg', width=128, height=96))
        for split in ('val', 'test'):  # its images are no others, but no image of the training either
            shutil.copy(root / 'images' / f'{i}.jpg', root / 'images' / f'{split}_{i}.jpg')
        for box in ([10, 10, 40, 30], [60 + i, 40, 50, 50]):
            annotations.append(dict(id=len(annotations) + 1, image_id=i, category_id=1 + i % 3, bbox=box, iscrowd=0,
                                    area=box[2] * box[3]))
    content = dict(images=images, annotations=annotations,
                   categories=[dict(id=i, name=name) for i, name in enumerate(('RBC', 'WBC', 'Platelets'), start=1)])

    def write(change=lambda content: None):
        changed = json.loads(json.dumps(content))
        change(changed)
        for split in ('train', 'val', 'test'):
            prefix = '' if split == 'train' else f'{split}_'
            own = [image | dict(file_name=prefix + image['file_name']) for image in changed['images']]
            (root / 'annotations' / f'{split}.json').write_text(json.dumps(changed | dict(images=own)))
    write()
    monkeypatch.chdir(tmp_path)
    return Config.fromfile(BCCD), write


def dataset_of(cfg, split):
    from mmdet.registry import DATASETS
    from mmengine.registry import init_default_scope
    init_default_scope('mmdet')
    return DATASETS.build(cfg[f'{split}_dataloader'].dataset)


def check(cfg, caplog) -> str:
    """What the checks before a training log."""
    from mmengine.logging import MMLogger
    logger = MMLogger.get_current_instance()
    caplog.set_level('INFO')
    logger.addHandler(caplog.handler)
    try:
        check_data(cfg, ('train_dataloader', 'val_dataloader'))
    finally:
        logger.removeHandler(caplog.handler)
    return caplog.text


def test_truth_against_itself(cells):
    """The ground truth scored against itself has an AP of 1, and half of it far less."""
    from mmdet.registry import METRICS
    cfg, _ = cells
    dataset = dataset_of(cfg, 'val')
    for share, expected in ((1, 1.0), (2, 0.5)):
        metric = METRICS.build(cfg.val_evaluator)
        metric.dataset_meta = dataset.metainfo
        for sample in dataset:
            sample = sample['data_samples']
            truth = sample.gt_instances[::share]
            pred = dict(bboxes=truth.bboxes.tensor, labels=truth.labels, scores=torch.ones(len(truth)))
            metric.process({}, [dict(sample.metainfo, pred_instances=pred)])
        assert metric.evaluate(len(dataset))['coco/bbox_mAP'] == pytest.approx(expected, abs=0.01)


def test_good_annotations(cells, caplog):
    """Nothing is said, and every image is trained."""
    cfg, _ = cells
    assert check(cfg, caplog) == ''
    assert len(dataset_of(cfg, 'train')) == 4


def test_annotations_that_mmdet_takes(cells, caplog):
    """Without iscrowd, which only a score needs; and with boxes of images that were taken out."""
    cfg, write = cells

    def change(content):
        for box in content['annotations']:
            box.pop('iscrowd')
        content['annotations'] += [box | dict(id=box['id'] + 100, image_id=99) for box in content['annotations']]
    write(change)
    cfg.val_dataloader = cfg.test_dataloader = cfg.val_evaluator = cfg.test_evaluator = None
    said = check(cfg, caplog)
    assert '8 of 16 boxes are of images that it does not have' in said and 'leave their image' not in said
    assert len(dataset_of(cfg, 'train')) == 4


def rename(content):
    content['categories'][0]['name'] = 'dog'


@pytest.mark.parametrize('change, expected', [
    (rename, ['dog', 'RBC', 'metainfo.classes']),
    (lambda content: content['categories'].reverse(), ['order', 'metainfo.classes']),
    (lambda content: content['images'][2].update(file_name='absent.jpg'), ['1 of 4', 'absent.jpg', 'images']),
    (lambda content: content.pop('categories'), ['COCO', 'categories']),
    (lambda content: content['annotations'].clear(), ['no image', 'box']),
], ids=['categories', 'order', 'missing image', 'no COCO', 'no boxes'])
def test_wrong_annotations(cells, change, expected, caplog):
    """The message names the file, what is wrong and the fix."""
    cfg, write = cells
    write(change)
    with pytest.raises((UsageError, FileNotFoundError)) as error:
        check(cfg, caplog)
    assert all(part in str(error.value) for part in [*expected, 'train.json']), error.value


def test_no_image_folder(cells, caplog):
    """A data set without a folder of images is refused; the key to set is named."""
    cfg, _ = cells
    cfg.train_dataloader.dataset.data_prefix = dict()
    with pytest.raises(UsageError, match='train_dataloader.dataset.data_prefix.img'):
        check(cfg, caplog)


@pytest.mark.parametrize('wrapper', ['RepeatDataset', 'ClassBalancedDataset'])
def test_wrapped_annotations(cells, wrapper, caplog):
    """A wrapper does not hide a data set from the check, and an absent loader needs none."""
    cfg, write = cells
    write(rename)
    cfg.train_dataloader.dataset = dict(type=wrapper, dataset=cfg.train_dataloader.dataset)
    cfg.val_dataloader = None
    with pytest.raises(UsageError, match='train_dataloader.dataset.dataset: the categories'):
        check(cfg, caplog)


def test_wrong_number_of_classes(cells, caplog):
    """A head for another number of classes is refused."""
    cfg, _ = cells
    cfg.model.bbox_head.num_classes = 80
    with pytest.raises(UsageError, match='num_classes=80.*num_classes=3'):
        check(cfg, caplog)


@pytest.mark.parametrize('box', [[10, 10, 0, 30], [10, 10, 40, -5], [10, 10, float('nan'), 30], [float('nan'), 1, 40, 30],
                                 [-50, 10, 40, 30], [10, 200, 40, 30]])
def test_broken_box(cells, box, caplog):
    """A box of zero, negative or NaN size is named and left out; the others of its image stay."""
    cfg, write = cells
    write(lambda content: content['annotations'][0].update(bbox=box))
    text = check(cfg, caplog)
    assert 'train.json' in text and '0.jpg' in text and '1.jpg' not in text
    counts = [len(item['instances']) for item in map(dataset_of(cfg, 'train').get_data_info, range(4))]
    assert counts == [1, 2, 2, 2]


def test_images_without_boxes_are_skipped(cells, caplog):
    """They are counted in the log and not trained; if the user keeps them, they pass the pipeline."""
    cfg, write = cells
    write(lambda content: content.update(annotations=content['annotations'][2:]))
    assert '1 of 4 images have no boxes' in check(cfg, caplog)
    assert len(dataset_of(cfg, 'train')) == 3
    cfg.train_dataloader.dataset.filter_cfg.filter_empty_gt = False
    samples = list(dataset_of(cfg, 'train'))
    assert [len(sample['data_samples'].gt_instances) == 0 for sample in samples] == [True, False, False, False]


def test_foreign_categories_are_left_out(cells, caplog):
    """A config may name some of the json's categories; the boxes of the others are counted."""
    cfg, write = cells
    cfg.merge_from_dict({f'{split}_dataloader.dataset.metainfo.classes': ('RBC', 'WBC') for split in ('train', 'val')})
    cfg.model.bbox_head.num_classes = 2
    assert '2 boxes of categories' in check(cfg, caplog)


def perfect(cfg, kind: str, share: float = 1, **changes) -> dict[str, float]:
    """Figures of the ground truth, or a share of it, scored against itself."""
    from mmdet.registry import METRICS
    dataset = dataset_of(cfg, 'val')
    scorer = METRICS.build(dict(cfg.val_evaluator, type=kind, **changes))
    scorer.dataset_meta = dataset.metainfo
    for sample in dataset:
        sample = sample['data_samples']
        found = sample.gt_instances[:round(share * len(sample.gt_instances))]
        pred = dict(bboxes=found.bboxes.tensor, labels=found.labels, scores=torch.ones(len(found)))
        scorer.process({}, [dict(sample.metainfo, pred_instances=pred)])
    return scorer.evaluate(len(dataset))


@pytest.mark.parametrize('kinds', ['bbox', ['proposal_fast', 'bbox']])
def test_nothing_detected(cells, kinds, monkeypatch):
    """A validation without a detection has an mAP of 0, which the best checkpoint is chosen by, and says so."""
    told = []
    monkeypatch.setattr('mvit3_bench.engine.metrics.coco.print_log', lambda text, **_: told.append(text))
    figures = perfect(cells[0], 'mvit3_bench.CocoMetric', share=0, metric=kinds)
    assert figures['coco/bbox_mAP'] == figures['coco/bbox_mAP_50'] == 0 and 'nothing was detected' in told[0]
    assert ('coco/AR@100' in figures) == ('proposal_fast' in kinds)


@pytest.mark.parametrize('new_id', [lambda old: old - 1, lambda old: f'{old:08x}-uuid', lambda old: old or 'a'],
                         ids=['from 0', 'texts', 'from 1'])
def test_ids_of_annotations(cells, new_id, caplog):
    """Perfect detections score 1 whatever the ids are; the stock metric, which takes 0 for no match, is refused."""
    cfg, write = cells
    write(lambda content: [each.update(id=new_id(each['id'])) for each in content['annotations']])
    cfg.val_evaluator.type = 'mvit3_bench.CocoMetric'
    assert perfect(cfg, 'mvit3_bench.CocoMetric')['coco/bbox_mAP'] == pytest.approx(1, abs=0.01)
    assert check(cfg, caplog) == ''
    cfg.val_evaluator.type = 'CocoMetric'
    if new_id(1) == 1:
        assert check(cfg, caplog) == '' and perfect(cfg, 'CocoMetric')['coco/bbox_mAP'] == pytest.approx(1, abs=0.01)
        return
    with pytest.raises(UsageError, match="val_evaluator.type='mvit3_bench.CocoMetric'"):
        check(cfg, caplog)


@pytest.mark.parametrize('key, id_of', [('category_id', lambda content: content['categories']),
                                        ('image_id', lambda content: content['images'])])
def test_ids_of_two_types(cells, key, id_of, caplog):
    """Quoted ids are no numbers; ids that are texts throughout are fine."""
    cfg, write = cells

    def quote(content):
        for part in id_of(content):
            part['id'] = str(part['id'])

    def quote_both(content):
        quote(content)
        for part in content['annotations']:
            part[key] = str(part[key])
    write(quote_both)
    assert check(cfg, caplog) == ''
    write(quote)
    with pytest.raises(UsageError, match=f'annotation 1 has the {key} .*a text is no number'):
        check(cfg, caplog)


def test_two_categories_of_one_name(cells, caplog):
    """As in exports with a root category: the name and both ids are told."""
    cfg, write = cells
    write(lambda content: content['categories'].insert(0, dict(id=0, name='RBC')))
    with pytest.raises(UsageError, match="2 categories named 'RBC', with the ids 0, 1"):
        check(cfg, caplog)


def test_ignored_boxes(cells, caplog):
    """Training leaves them out, the score counts them: some are logged, all are refused."""
    cfg, write = cells
    write(lambda content: content['annotations'][0].update(ignore=1))
    assert '1 of 8 boxes have "ignore": 1' in check(cfg, caplog)
    assert sum(len(dataset_of(cfg, 'train').get_data_info(number)['instances']) for number in range(4)) == 7
    write(lambda content: [each.update(ignore=1) for each in content['annotations']])
    with pytest.raises(UsageError, match='8 of 8 boxes of .* have "ignore": 1'):
        check(cfg, caplog)


def test_boxes_as_corners(cells, caplog):
    """Two corners in place of a corner and a size: the shares of odd boxes are told; outlines within a box are not odd."""
    cfg, write = cells

    def corners(content):
        for each in content['annotations']:
            x, y, width, height = each['bbox']
            each['bbox'] = [x, y, x + width, y + height]
    write(corners)
    text = check(cfg, caplog)
    assert '4 of 8 boxes (50%) leave their image' in text and 'area of 8 of 8 boxes (100%)' in text
    caplog.clear()
    write(lambda content: [each.update(area=each['area'] / 3, segmentation=[[1, 1, 9, 1, 9, 9]])
                           for each in content['annotations']])
    assert check(cfg, caplog) == ''


@pytest.mark.parametrize('name, cause', [
    ('..\\images\\0.jpg', 'backslashes'), ('images/0.jpg', 'write 0.jpg'), ('0.JPG', 'the file is 0.jpg: upper and lower'),
    ('0.png', 'there is 0.jpg, of another suffix')])
def test_cause_of_a_missing_image(cells, name, cause, caplog):
    """The usual mistakes in file_name are told by their cause."""
    cfg, write = cells
    cfg.val_dataloader = cfg.val_evaluator = None
    write(lambda content: content['images'][0].update(file_name=name))
    with pytest.raises(FileNotFoundError, match=cause):
        check(cfg, caplog)
