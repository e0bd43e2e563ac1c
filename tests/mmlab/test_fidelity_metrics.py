"""The configs' detections and scores are those of the published evaluation, from the same outputs."""
import copy
import json

import golden
import numpy as np
import pytest
import torch
from conftest import ROOT
from mmengine.config import Config
from mmengine.registry import METRICS, MODELS, DefaultScope
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from test_parity_detection import META, assert_detections, unflatten
from torch.testing import assert_close
from torchvision.ops import nms

TRACES = ROOT / 'tests' / 'data' / 'training' / 'metrics'
DETECTORS = [('mvit3_xxs', 'coco_v1type'), ('mvit3_0.5', 'coco_v2type')]
SEGMENTORS = [('v1', 'voc_21', 'deeplabv3_mvit3_xxs_voc2012', 'voc_v1type'),
              ('v2', 'voc_21', 'deeplabv3_mvit3_0.5_voc2012', 'voc_v2type'),
              ('v1', 'ade20k_150', 'deeplabv3_mvit3_0.5_ade20k', 'ade20k'),
              ('v2', 'ade20k_150', 'pspnet_mvit3_0.5_ade20k', 'ade20k')]
every_segmentor = pytest.mark.parametrize('tree, data, config, recipe', SEGMENTORS)


def trace(tree: str) -> dict:
    return json.loads((TRACES / f'metrics_{tree}.json').read_text())


def metric_of(path: str, classes: int, **changes):
    """The metric of a config's test."""
    cfg = Config.fromfile(ROOT / 'configs' / f'{path}.py')
    assert cfg.val_evaluator == cfg.test_evaluator
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        metric = METRICS.build(cfg.test_evaluator | changes)
    metric.dataset_meta = dict(classes=[f'class {i}' for i in range(classes)])
    return metric


# ---- detections --------------------------------------------------------------------------------------------------------

def head_of(model: str) -> torch.nn.Module:
    cfg = Config.fromfile(ROOT / 'configs' / 'det' / f'ssdlite_{model}_coco.py').model
    with DefaultScope.overwrite_default_scope('mmdet'):
        return MODELS.build(cfg.bbox_head | dict(train_cfg=cfg.train_cfg, test_cfg=cfg.test_cfg))


def raw_outputs() -> tuple[torch.Tensor, torch.Tensor]:
    """The random logits (3232, 81), background first, and offsets (3232, 4) of the golden post-processing."""
    with np.load(golden.GOLDEN / 'postprocess.npz') as file:
        rng = np.random.RandomState(int(file['seed']))
        return (torch.from_numpy((rng.randn(3232, 81) * file['scale']).astype(np.float32)),
                torch.from_numpy(rng.randn(3232, 4).astype(np.float32)))


def published_detections(logits: torch.Tensor, offsets: torch.Tensor, v2_type: bool) -> tuple[torch.Tensor, ...]:
    """Boxes in fractions, scores and labels 0 .. 79, best first, written from the description of the two trees."""
    with np.load(golden.GOLDEN / 'detections_v3_1.0.npz') as file:
        anchors = torch.from_numpy(file['anchors'])
    centres = offsets[:, :2] * 0.1 * anchors[:, 2:] + anchors[:, :2]
    sizes = (offsets[:, 2:] * 0.2).exp() * anchors[:, 2:]
    boxes = torch.cat([centres - sizes / 2, centres + sizes / 2], dim=1)
    scores, found = logits.softmax(dim=1), []
    for label in range(80):
        index = (scores[:, label + 1] > 0.01).nonzero()[:, 0]
        index = index[scores[index, label + 1].argsort(descending=True)]
        if v2_type:
            index = index[:400]
        index = index[nms(boxes[index], scores[index, label + 1], 0.5)]
        if not v2_type:
            index = index[:200]
        found.append((boxes[index], scores[index, label + 1], torch.full_like(index, label)))
    boxes, scores, labels = map(torch.cat, zip(*found, strict=True))
    order = scores.argsort(descending=True)
    if v2_type:
        order = order[:200]
    return boxes[order], scores[order], labels[order]


@pytest.mark.parametrize('loud', [39, 1])
@pytest.mark.parametrize('model, recipe', DETECTORS)
def test_detections(fidelity, model, recipe, loud):
    """v1 type: the best 200 of each class after NMS; v2 type: 400 of each class before NMS, and the best 200 of all.

    With many loud classes the limits after NMS bind, with one alone, whose boxes are large, that before NMS.
    """
    logits, offsets = raw_outputs()
    logits[:, 1 + loud:] -= 3 if loud > 1 else 25
    offsets[:, 2:] += 0 if loud > 1 else 8
    found = head_of(model).predict_by_feat(
        unflatten(logits[None].roll(-1, dims=-1)), unflatten(offsets[None]), batch_img_metas=[META])[0]
    boxes, scores, labels = published_detections(logits, offsets, v2_type=recipe == 'coco_v2type')
    above, counts = (logits.softmax(1)[:, 1:] > 0.01).sum(0), labels.bincount(minlength=80)
    assert above.max() > 400 and counts.sum() == len(labels)
    if recipe == 'coco_v1type':
        assert counts.max() == 200 > counts.min()
    else:
        assert len(labels) == 200 if loud > 1 else len(labels) < 200
    assert torch.equal(found.labels, labels)
    assert_close(found.scores, scores, rtol=0, atol=1e-6)
    assert_close(found.bboxes / 320, boxes, rtol=0, atol=1e-5)
    fidelity('post-processing', recipe, measured=f'0 of {len(labels)} detections differ')


def test_golden_detections(fidelity):
    """The published detections of the v2 type, from random outputs."""
    logits, offsets = raw_outputs()
    found = head_of('mvit3_0.5').predict_by_feat(
        unflatten(logits[None].roll(-1, dims=-1)), unflatten(offsets[None]), batch_img_metas=[META])[0]
    assert_detections(found, 'postprocess')
    fidelity('post-processing', 'coco_v2type', measured=f'0 of {len(found)} published detections differ')


# ---- COCO's score ------------------------------------------------------------------------------------------------------

IDS = [number for number in range(1, 91) if number not in (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)]  # COCO's 80
SIZES = [(640, 480), (500, 375), (333, 500), (427, 640)]


def coco_case(file) -> list[tuple[int, dict]]:
    """Write a json of four images, and give detections of them, many of which reach outside.

    One object of category 3 is found by the 120th detection of its class, which is not among the 100 that COCO counts.
    """
    rng = np.random.RandomState(3)
    images, annotations, samples = [], [], []
    for number, (width, height) in enumerate(SIZES):
        images.append(dict(id=number + 7, file_name=f'{number}.jpg', width=width, height=height))
        corners = rng.rand(6, 2) * [width, height] * 0.6
        sizes = np.array([width, height]) * rng.uniform(0.2, 0.6, (6, 2))
        truth = np.concatenate([corners, np.minimum(corners + sizes, [width, height])], axis=1)
        truth[::2, 2:] = width, height  # to the border, so that a box that reaches outside is right once it is clipped
        labels = np.array([2, 0, 16, 16, 40, 79])
        for box, label in zip(truth, labels, strict=True):
            x, y, right, bottom = box.tolist()
            annotations.append(dict(
                id=len(annotations) + 1, image_id=number + 7, category_id=IDS[label], iscrowd=int(label == 40),
                bbox=[x, y, right - x, bottom - y], area=(right - x) * (bottom - y)))
        reaching = truth + rng.randn(6, 4) * 8
        reaching[::2, 2:] += rng.rand(3, 2) * 200
        far = np.tile([-50.0, -40.0, 1.0, 2.0], (119, 1))
        boxes = np.concatenate([reaching[1:], far, truth[:1], reaching[:1]])
        samples.append((number + 7, dict(
            bboxes=torch.tensor(boxes, dtype=torch.float32),
            scores=torch.tensor(np.concatenate([rng.uniform(0.5, 1, 5), rng.uniform(0.1, 0.4, 119), [0.05, 0.04]]),
                                dtype=torch.float32),
            labels=torch.tensor([*labels[1:], *[2] * 119, 2, 2]))))
    file.write_text(json.dumps(dict(
        images=images, annotations=annotations, categories=[dict(id=id, name=f'class {i}') for i, id in enumerate(IDS)])))
    return samples


def published_score(file, samples: list[tuple[int, dict]]) -> tuple[list[dict], np.ndarray]:
    """Results and the six figures, through pycocotools alone: clipped boxes, not rounded, ids in ascending order."""
    results = []
    for (image, found), (width, height) in zip(samples, SIZES, strict=True):
        for box, score, label in zip(*(found[key].tolist() for key in ('bboxes', 'scores', 'labels')), strict=True):
            left, top, right, bottom = np.clip(box, 0, [width, height, width, height]).tolist()
            results.append(dict(image_id=image, category_id=sorted(IDS)[label], score=score,
                                bbox=[left, top, right - left, bottom - top]))
    truth = COCO(file)
    score = COCOeval(truth, truth.loadRes(copy.deepcopy(results)), 'bbox')
    score.evaluate()
    score.accumulate()
    score.summarize()
    return results, score.stats[:6]


@pytest.mark.parametrize('model, recipe', DETECTORS)
def test_coco_score(fidelity, tmp_path, model, recipe):
    """Boxes are clipped for the score and not rounded, ids are COCO's, and 100 detections of a class count."""
    file = tmp_path / 'truth.json'
    samples = coco_case(file)
    results, expected = published_score(file, samples)
    config, names = f'det/ssdlite_{model}_coco', ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')
    values = {}
    for kind in ('mvit3_bench.CocoMetric', 'CocoMetric'):
        changes = dict(type=kind) if kind == 'CocoMetric' else {}
        metric = metric_of(config, 80, ann_file=str(file), outfile_prefix=str(tmp_path / kind), **changes)
        kept = [found['bboxes'].clone() for _, found in samples]
        for (image, found), (width, height) in zip(samples, SIZES, strict=True):
            metric.process({}, [dict(img_id=image, ori_shape=(height, width), pred_instances=found)])
        assert all(torch.equal(found['bboxes'], box) for (_, found), box in zip(samples, kept, strict=True))
        scores = metric.evaluate(len(samples))
        values[kind] = [scores[f'coco/bbox_{name}'] for name in names]
    ours = json.loads((tmp_path / 'mvit3_bench.CocoMetric.bbox.json').read_text())
    for key in ('image_id', 'category_id'):
        assert [one[key] for one in ours] == [one[key] for one in results]
    assert_close(torch.tensor([one['bbox'] for one in ours]), torch.tensor([one['bbox'] for one in results]))
    assert [one['score'] for one in ours] == pytest.approx([one['score'] for one in results], rel=1e-6)
    assert values['mvit3_bench.CocoMetric'] == pytest.approx(expected, abs=1e-6)
    assert values['mvit3_bench.CocoMetric'] != [round(value, 3) for value in values['mvit3_bench.CocoMetric']]
    # the case sees it: without the clipping the score is another
    assert values['CocoMetric'][0] < expected[0] - 0.05
    difference = np.abs(np.array(values['mvit3_bench.CocoMetric']) - expected).max()
    fidelity('metrics', recipe, measured=f'{difference:.0e} (six figures of COCO)')


def test_bccd_keeps_its_metric():
    """Its recorded result was measured without clipping, with mmdet's own metric, matching and limits."""
    cfg = Config.fromfile(ROOT / 'configs' / 'det' / 'ssdlite_mvit3_xxs_bccd.py')
    for split in ('val', 'test'):
        assert cfg[f'{split}_evaluator'] == dict(
            type='CocoMetric', ann_file=f'data/bccd/annotations/{split}.json', metric='bbox')
    assert cfg.model.test_cfg == dict(score_thr=0.01, max_per_class=400, nms=dict(iou_threshold=0.5), max_per_img=200)
    assert cfg.model.train_cfg.assigner.iou_calculator == dict(type='BboxOverlaps2D')


# ---- mean IoU ----------------------------------------------------------------------------------------------------------

def label_maps(seed: int, classes: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """The published four batches of predictions and labels; with seed 21 two classes are not in the labels."""
    rng, missing, batches = np.random.RandomState(seed), 2 if seed == 21 else 0, []
    for size in (4, 4, 4, 2):
        labels = rng.randint(0, classes - missing, (size, 48, 64))
        other = rng.rand(size, 48, 64) < 0.6
        predicted = np.where(other, labels, rng.randint(0, classes - missing // 2, (size, 48, 64)))
        labels[rng.rand(size, 48, 64) < 0.1] = 255
        batches.append((torch.from_numpy(predicted), torch.from_numpy(labels)))
    return batches


def in_training_miou(batches, classes: int) -> float:
    """The figure that chose the published checkpoints: areas weighted by the size of the batch, absent classes as 0."""
    intersection = union = torch.zeros(classes, dtype=torch.float64)
    for predicted, labels in batches:
        valid = labels != 255
        both = labels[valid & (predicted == labels)].bincount(minlength=classes)
        either = predicted[valid].bincount(minlength=classes) + labels[valid].bincount(minlength=classes) - both
        intersection = intersection + both * len(labels)
        union = union + (either + 1e-7) * len(labels)
    return (intersection / union).mean().item() * 100


def scored(config: str, classes: int, batches) -> tuple[torch.Tensor, dict]:
    """IoU of each class, and the figures of the metric."""
    metric = metric_of(f'seg/{config}', classes)
    for predicted, labels in batches:
        metric.process({}, [dict(pred_sem_seg=dict(data=one[None]), gt_sem_seg=dict(data=other[None]))
                            for one, other in zip(predicted, labels, strict=True)])
    areas = [sum(parts) for parts in zip(*metric.results, strict=True)]
    ious = metric.total_area_to_metrics(*areas, metrics=['mIoU'])['IoU']
    return torch.as_tensor(ious), metric.evaluate(sum(len(labels) for _, labels in batches))


@every_segmentor
def test_miou(fidelity, tree, data, config, recipe):
    """With all classes: the mean of the published evaluation, whose areas are those of the whole set."""
    published, classes = trace(tree)[f'{data}_all_classes_present'], int(data.partition('_')[2])
    batches = label_maps(22, classes)
    ious, figures = scored(config, classes, batches)
    difference = abs(ious.mean().item() * 100 - published['eval_script_mean_iou'])
    assert difference < 1e-4
    assert figures['mIoU'] == pytest.approx(published['eval_script_mean_iou'], abs=0.0051)  # mmseg rounds to two digits
    assert figures['aAcc'] == pytest.approx(published['eval_script_global'], abs=0.0051)
    # during its training the published code computes another mean, which is not copied
    training = in_training_miou(batches, classes)
    assert training == pytest.approx(published['in_training_statistics_miou'], abs=1e-4)
    fidelity('metrics', recipe, measured=f'{difference:.0e} (mIoU in percent)')
    fidelity('best checkpoint', recipe, differs='squares',
             measured=f'mIoU of batches {training - ious.mean().item() * 100:+.2f} points from that of the set')


@every_segmentor
def test_miou_without_a_class(fidelity, tree, data, config, recipe):
    """A class that is neither in the labels nor predicted is left out of the mean; the published mean is NaN."""
    published, classes = trace(tree)[data], int(data.partition('_')[2])
    batches = label_maps(21, classes)
    assert [list(labels.shape) for _, labels in batches] == published['sizes']
    ious, figures = scored(config, classes, batches)
    expected = torch.tensor([np.nan if value is None else float(value) for value in published['eval_script_iou_per_class']])
    assert_close(ious.float(), expected, rtol=0, atol=1e-6, equal_nan=True)
    assert ious.isnan().nonzero().tolist() == [[classes - 1]] and np.isnan(float(published['eval_script_mean_iou']))
    mean = published['eval_script_mean_iou_without_nan']
    assert ious.nanmean().item() * 100 == pytest.approx(mean, abs=1e-4)
    assert figures['mIoU'] == pytest.approx(mean, abs=0.0051)
    assert figures['aAcc'] == pytest.approx(published['eval_script_global'], abs=0.0051)
    training = in_training_miou(batches, classes)
    assert training == pytest.approx(published['in_training_statistics_miou'], abs=1e-4)
    fidelity('metrics', recipe, differs='NaN',
             measured=f'{figures["mIoU"]:.2f} instead of NaN with one of {classes} classes absent')


def test_miou_of_a_large_set(fidelity):
    """mmseg sums areas in single precision: over 2000 images of ADE20K's size the mean is still that of whole numbers."""
    metric, rng = metric_of('seg/deeplabv3_mvit3_0.5_ade20k', 150), np.random.RandomState(0)
    share = rng.dirichlet(np.full(150, 0.05), 2000)  # few classes an image, as in pictures
    labels = torch.from_numpy((share * 512 * 683).astype(np.int64))
    both = (labels * 0.6).long()
    predicted = labels.roll(1, dims=1)
    union = labels + predicted - both
    metric.results = [tuple(part.float() for part in parts)
                      for parts in zip(both, union, predicted, labels, strict=True)]
    areas = [sum(parts) for parts in zip(*metric.results, strict=True)]
    ours = torch.as_tensor(metric.total_area_to_metrics(*areas, metrics=['mIoU'])['IoU']).double()
    exact = both.sum(0).double() / union.sum(0)
    difference = (ours - exact).abs().max().item()
    assert difference < 1e-6
    fidelity('metrics', 'ade20k', measured=f'{difference:.0e} (IoU over 2000 images in single precision)')


# ---- top-k -------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize('tree, config, recipe', [
    ('v1', 'mvit3_xxs_in1k', 'imagenet_v1type'), ('v2', 'mvit3_0.5_in1k', 'imagenet_v2type'),
    ('v2', 'mvit3_0.5_384_in1k', 'imagenet_384')])
def test_top_k(fidelity, tree, config, recipe):
    """Batches of 32 and a last one of 4, with as many right answers as the published ones."""
    published, metric, rng = trace(tree)['top_k'], metric_of(f'cls/{config}', 1000), np.random.RandomState(0)
    images = 0
    for size, top1, top5 in published['per_batch']:
        first, five = round(size * top1 / 100), round(size * top5 / 100)
        for number in range(size):
            label, rank = rng.randint(1000), 0 if number < first else rng.randint(1, 5) if number < five else 5
            order = rng.permutation(np.delete(np.arange(1000), label))
            order = np.insert(order, rank, label)
            scores = torch.empty(1000)
            scores[order] = torch.linspace(1, 0, 1000)
            metric.process({}, [dict(pred_score=scores, gt_label=torch.tensor([label]))])
            images += 1
    figures = metric.evaluate(images)
    assert images == 100
    assert [figures[f'accuracy/top{k}'] for k in (1, 5)] == pytest.approx([published['top1'], published['top5']], abs=1e-5)
    fidelity('metrics', recipe, measured=f'{abs(figures["accuracy/top1"] - published["top1"]):.0e} (top-1 in percent)')
