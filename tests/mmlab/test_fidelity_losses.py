"""The losses of the configs' models are those of the published training, from the same outputs and the same truth."""
import json

import numpy as np
import pytest
import torch
from conftest import ROOT
from golden import worst
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData, PixelData
from test_parity_detection import flatten, unflatten
from torch.nn import functional as F

from mvit3_bench.registry import MODELS, TASK_UTILS

TRACES = ROOT / 'tests' / 'data' / 'training' / 'losses'
META = dict(img_shape=(320, 320), pad_shape=(320, 320), batch_input_shape=(320, 320), scale_factor=(1.0, 1.0))
DETECTORS = [('v1', 'mvit3_xxs', 'coco_v1type'), ('v2', 'mvit3_0.5', 'coco_v2type')]
every_detector = pytest.mark.parametrize('tree, model, recipe', DETECTORS)


def trace(tree: str) -> dict:
    return json.loads((TRACES / f'losses_{tree}.json').read_text())


def model_cfg(path: str):
    cfg = Config.fromfile(ROOT / 'configs' / f'{path}.py')
    return cfg.model | dict(_scope_=cfg.default_scope)


def part(path: str, name: str, scope: str) -> torch.nn.Module:
    """One part of a config's model, as the model itself builds it."""
    cfg = model_cfg(path)
    with DefaultScope.overwrite_default_scope(scope):
        return MODELS.build(cfg[name] | {key: cfg[key] for key in ('train_cfg', 'test_cfg') if scope == 'mmdet'})


def apart(value: float, published: float) -> float:
    """Relative difference."""
    return abs(value - published) / abs(published)


# ---- detection ---------------------------------------------------------------------------------------------------------

def truth_of(images: list[dict]) -> list[InstanceData]:
    """Published boxes, fractions of the image with labels from 1, as ours."""
    return [InstanceData(bboxes=torch.tensor(image['gt_boxes_relative_xyxy']).reshape(-1, 4) * 320,
                         labels=torch.tensor(image['gt_labels_from_1'], dtype=torch.long) - 1) for image in images]


def outputs_of(count: int = 4) -> tuple[list, list]:
    """Published random outputs, as levels; background is the first class there, the last here."""
    rng = np.random.RandomState(6)
    logits = torch.from_numpy(rng.randn(4, 3232, 81) * 2)[:count]
    offsets = torch.from_numpy(rng.randn(4, 3232, 4))[:count]
    return unflatten(logits.roll(-1, dims=-1)), unflatten(offsets)


class TiesAsPublished:
    """The head's IoU, with that of the published pairs of object and anchor raised by 3e-6 of itself.

    A small box that lies inside several anchors of equal area has the same IoU with each of them but for rounding, and so
    does one half way between two anchors. Which of them wins is noise, in the published computation too.
    """

    def __init__(self, head, images: list[dict]):
        self.iou, self.images = head.assigner.iou_calculator, iter(images)

    def __call__(self, boxes: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
        iou = self.iou(boxes, anchors)
        if len(boxes):
            image = next(self.images)
            iou[image['matched_gt'], image['positive_anchors']] *= 1 + 3e-6
        return iou


def ssd_head(model: str, images: list[dict]) -> torch.nn.Module:
    """The head of a config, for a loss of these images in this order."""
    head = part(f'det/ssdlite_{model}_coco', 'bbox_head', 'mmdet')
    head.assigner.iou_calculator = TiesAsPublished(head, images)
    return head


def detection_losses(head, outputs, truth: list[InstanceData]) -> tuple[float, float]:
    """Sums over the images of the losses of classes and boxes, by the loss that the training calls."""
    parts = head.loss_by_feat(*outputs, truth, [META] * len(truth))
    return tuple(sum(each.sum().item() for each in parts[name]) for name in ('loss_cls', 'loss_bbox'))


@every_detector
def test_ssd(fidelity, tree, model, recipe):
    """Sums and total of a batch of four images, three objects of which share their best anchor."""
    published = trace(tree)['ssd']
    head = ssd_head(model, published['images'] * 2)
    truth, positives = truth_of(published['images']), sum(published['num_pos'])
    classes, boxes = detection_losses(head, outputs_of(), truth)
    head.train_cfg.neg_pos_ratio = 0
    of_positives, _ = detection_losses(head, outputs_of(), truth)
    differences = [
        apart(classes * positives, published['class_loss_sum']), apart(boxes * positives, published['box_loss_sum']),
        apart(of_positives * positives, published['class_loss_sum_positives']), apart(classes + boxes, published['total']),
        apart(classes + boxes, published['check'])]
    assert worst(*differences) < 1e-5
    fidelity('losses', recipe, measured=f'{worst(*differences):.1e} (SSD)')


@every_detector
def test_ssd_matching(fidelity, tree, model, recipe):
    """Which anchors are positive and for which object, and which of the others are kept as hard negatives."""
    published = trace(tree)['ssd']
    head = ssd_head(model, published['images'])
    logits, offsets = outputs_of()
    logits = [level.requires_grad_() for level in logits]
    parts = head.loss_by_feat(logits, offsets, truth_of(published['images']), [META] * 4)
    # an anchor that takes part in the loss of the classes has a gradient from it
    taken = flatten(torch.autograd.grad(sum(parts['loss_cls']).sum(), logits), 81).abs().sum(-1) > 0
    anchors = 0
    for image, part_in, result in zip(
            published['images'], taken, head._raw_positive_infos['sampling_results'], strict=True):
        assert result.pos_inds.tolist() == image['positive_anchors']
        assert result.pos_assigned_gt_inds.tolist() == image['matched_gt']
        assert (result.pos_gt_labels + 1).tolist() == image['matched_label']
        part_in[result.pos_inds] = False
        kept = part_in.nonzero()[:, 0]
        assert kept[:10].tolist() == image['first_10_kept_negatives']
        assert kept.sum() == image['kept_negative_anchors_checksum']
        anchors += len(result.pos_inds) + len(kept)
    assert taken.sum(1).tolist() == published['negatives_kept']
    fidelity('losses', recipe, measured=f'0 of {anchors} anchors differ (matching, hard negatives)')


@every_detector
def test_ssd_without_boxes(fidelity, tree, model, recipe):
    """An image without boxes adds nothing; a batch of none has a loss of 0, where the published v1 tree gives NaN."""
    published = trace(tree)
    head = ssd_head(model, published['ssd']['images'][:1] * 2)
    first, *_ = truth_of(published['ssd']['images'])
    empty = truth_of([dict(gt_boxes_relative_xyxy=[], gt_labels_from_1=[])])
    alone = sum(detection_losses(head, outputs_of(1), [first]))
    beside = sum(detection_losses(head, outputs_of(2), [first, *empty]))
    difference = worst(apart(alone, published['ssd_image0_alone']), apart(beside, published['ssd_image0_and_empty_image']))
    assert difference < 1e-5
    logits, offsets = outputs_of(2)
    anchors, flags = head.get_anchors([level.shape[-2:] for level in logits], [META] * 2, device='cpu')
    labels, _, targets, weights, divisor = head.get_targets(anchors, flags, empty * 2, [META] * 2)
    assert sum((level < 80).sum() for level in labels) == published['ssd_no_boxes']['labels_sum']
    assert divisor == 1 and not any(level.any() for level in (*targets, *weights))  # published: of no use, not finite
    parts = head.loss_by_feat([level.requires_grad_() for level in logits], offsets, empty * 2, [META] * 2)
    total = sum(sum(each.sum() for each in part) for part in parts.values())
    assert total.item() == 0 and not any(each.any() for each in torch.autograd.grad(total, logits))
    assert published['ssd_batch_without_boxes_total'] == dict(v1='nan', v2='0.0')[tree]
    fidelity('losses', recipe, measured=f'{difference:.1e} (an image without boxes)')
    if tree == 'v1':
        fidelity('losses', recipe, differs='NaN', measured='a loss of 0 for a batch without boxes')


@every_detector
def test_ssd_of_two_processes(fidelity, monkeypatch, tree, model, recipe):
    """Each process's own mean is the published one; ours, by the positives of both, is the loss of one process of all."""
    published, images = trace(tree)['ssd_two_processes'], trace(tree)['ssd']['images']
    head, truth = ssd_head(model, images * 2), truth_of(images)
    halves = [([level[rows] for level in outputs_of()[0]], [level[rows] for level in outputs_of()[1]], truth[rows])
              for rows in (slice(0, 2), slice(2, 4))]
    own = [sum(detection_losses(head, (logits, offsets), boxes)) for logits, offsets, boxes in halves]
    assert own == pytest.approx([published['process0'], published['process1']], rel=1e-5)
    assert sum(own) / 2 == pytest.approx(published['mean'], rel=1e-5)

    counts = trace(tree)['ssd']['num_pos']
    seen = []

    def all_reduce(positives: torch.Tensor, op: str) -> None:
        """As of two processes, which have the images of the halves."""
        assert op == 'mean'
        seen.append(positives.item())
        positives.fill_(sum(counts) / 2)

    monkeypatch.setitem(type(head).get_targets.__globals__, 'all_reduce', all_reduce)
    ours = sum(sum(detection_losses(head, (logits, offsets), boxes)) for logits, offsets, boxes in halves) / 2
    assert seen == [sum(counts[:2]), sum(counts[2:])]
    assert ours == pytest.approx(published['one_process_of_all'], rel=1e-5)
    fidelity('losses', recipe, differs='D13',
             measured=f'{ours:.2f}, not {published["mean"]:.2f}, on two processes of two images (SSD)')


@every_detector
def test_iou(fidelity, tree, model, recipe):
    """The constant in the IoU, seen in that of a small box with itself, in fractions of the image."""
    published = trace(tree)['iou_epsilon_example']
    with DefaultScope.overwrite_default_scope('mmdet'):
        iou = TASK_UTILS.build(model_cfg(f'det/ssdlite_{model}_coco').train_cfg.assigner.iou_calculator)
    box = torch.tensor(published['box'], dtype=torch.float64)
    assert (box[0, 2:] - box[0, :2]).prod().item() == pytest.approx(published['box_area'])
    difference = apart(iou(box, box).item(), published['iou_of_identical_boxes'])
    assert difference < 1e-12
    boxes = torch.tensor([[0.0, 0, 2, 2], [1, 1, 3, 4]])
    assert iou(boxes, boxes[1:]).flatten().tolist() == pytest.approx([1 / (4 + 6 - 1), 1], rel=1e-4)
    with pytest.raises(ValueError, match="mode='giou'"):
        iou(boxes, boxes, mode='giou')
    fidelity('losses', recipe, measured=f'{difference:.1e} (IoU)')


@every_detector
def test_iou_in_matching(tree, model, recipe):
    """The matching sees fractions of the image: an anchor of an IoU of 0.5001 without the constant is not positive."""
    head = part(f'det/ssdlite_{model}_coco', 'bbox_head', 'mmdet')
    sizes = [level.shape[-2:] for level in outputs_of(1)[0]]
    anchors, flags = head.get_anchors(sizes, [META], device='cpu')
    index = (10 * 20 + 10) * 6  # a small square in the middle of the image
    corners = anchors[0][0][index]
    centre, half = (corners[:2] + corners[2:]) / 2, (corners[2:] - corners[:2]) / 2
    half = half / 0.5001**0.5
    truth = [InstanceData(bboxes=torch.cat([centre - half, centre + half])[None], labels=torch.tensor([3]))]
    positive = {}
    for eps in (head.assigner.iou_calculator.eps, 0.0):
        head.assigner.iou_calculator.eps = eps
        labels, *_ = head.get_targets(anchors, flags, truth, [META])
        positive[eps] = labels[0][0, index].item() == 3
    assert positive == {1e-5: False, 0.0: True}


# ---- classification ----------------------------------------------------------------------------------------------------

def soft_labels(labels: torch.Tensor, lam: float) -> torch.Tensor:
    """Published mixture of each label with the one before it."""
    return lam * F.one_hot(labels, 1000) + (1 - lam) * F.one_hot(labels.roll(1), 1000)


CLASSIFIERS = [('v1', 'mvit3_xxs_in1k', 'imagenet_v1type'), ('v2', 'mvit3_0.5_in1k', 'imagenet_v2type'),
               ('v2', 'mvit3_0.5_384_in1k', 'imagenet_384')]


@pytest.mark.parametrize('tree, model, recipe', CLASSIFIERS)
def test_label_smoothing(fidelity, tree, model, recipe):
    """Hard labels, in double and single precision; of the v2 type the soft ones of mixup too, which are smoothed again."""
    from mmpretrain.structures import DataSample
    published, head = trace(tree), part(f'cls/{model}', 'head', 'mmpretrain')
    rng = np.random.RandomState(8)
    logits, labels, lam = torch.from_numpy(rng.randn(6, 1000) * 3), torch.from_numpy(rng.randint(0, 1000, 6)), rng.uniform()
    # without smoothing: the inputs are the published ones
    assert F.cross_entropy(logits, labels).item() == pytest.approx(
        published['cross_entropy_in_eval_mode_of_the_criterion'], rel=1e-12)
    hard = [DataSample().set_gt_label(label) for label in labels]
    values = {published['label_smoothing_hard']: hard}
    if tree == 'v2':
        assert lam == published['label_smoothing_soft']['lam']
        values[published['label_smoothing_soft']['value']] = [
            DataSample().set_gt_score(score) for score in soft_labels(labels, lam)]
    differences = {}
    for precision in (torch.float64, torch.float32):
        differences[precision] = worst(*(apart(head._get_loss(logits.to(precision), samples)['loss'].item(), value)
                                         for value, samples in values.items()))
        assert differences[precision] < 1e-6
    fidelity('losses', recipe, measured=f'{differences[torch.float64]:.1e} (label smoothing)')


# ---- segmentation ------------------------------------------------------------------------------------------------------

SEGMENTORS = [('v1', 'voc_xxs', 'deeplabv3_mvit3_xxs_voc2012', 'voc_v1type'),
              ('v2', 'voc_dl', 'deeplabv3_mvit3_0.5_voc2012', 'voc_v2type'),
              ('v2', 'voc_dl', 'pspnet_mvit3_0.5_voc2012', 'voc_v2type'),
              ('v2', 'ade_dl', 'deeplabv3_mvit3_0.5_ade20k', 'ade20k'),
              ('v2', 'ade_dl', 'pspnet_mvit3_0.5_ade20k', 'ade20k')]


def pixel_labels(labels: torch.Tensor) -> list:
    from mmseg.structures import SegDataSample
    return [SegDataSample(gt_sem_seg=PixelData(data=each[None])) for each in labels]


@pytest.mark.parametrize('tree, name, model, recipe', SEGMENTORS)
def test_segmentation(fidelity, tree, name, model, recipe):
    """The mean over the labelled pixels of both images, and 0.4 times that of the auxiliary logits after their resizing."""
    published, path = trace(tree)[f'segmentation_{name}'], f'seg/{model}'
    head = part(path, 'decode_head', 'mmseg')
    classes = 150 if name == 'ade_dl' else 21
    assert head.num_classes == classes
    rng = np.random.RandomState(9)
    main, auxiliary = (torch.from_numpy(rng.randn(2, classes, side, side) * 2) for side in (32, 4))
    labels, drawn = torch.from_numpy(rng.randint(0, classes, (2, 32, 32))), torch.from_numpy(rng.rand(2, 32, 32))
    ignored = drawn < torch.tensor([0.5, 0.1])[:, None, None]
    labels[ignored] = 255
    assert (~ignored).sum((1, 2)).tolist() == published['labelled']

    def loss(head, logits, labels) -> float:
        return head.loss_by_feat(logits, pixel_labels(labels))['loss_ce'].item()

    differences = [apart(loss(head, main, labels), published['main_only'])]
    differences += [apart(loss(head, main[i:i + 1], labels[i:i + 1]), published['per_image'][i]) for i in range(2)]
    nothing = loss(head, main, torch.full_like(labels, 255))
    assert nothing == 0 and published['no_labelled_pixel'] == 'nan'
    if tree == 'v2':
        other = part(path, 'auxiliary_head', 'mmseg')
        weighted = loss(other, auxiliary, labels)
        differences += [apart(weighted, published['aux_weight'] * published['aux_only_upsampled']),
                        apart(loss(head, main, labels) + weighted, published['main_and_aux'])]
    else:  # the auxiliary figures of that tree are of no recipe
        assert 'auxiliary_head' not in model_cfg(path)
    assert worst(*differences) < 1e-6
    fidelity('losses', recipe, measured=f'{worst(*differences):.1e} ({model.partition("_")[0]})')
    fidelity('losses', recipe, differs='NaN', measured='a loss of 0 for a batch without labelled pixels')
