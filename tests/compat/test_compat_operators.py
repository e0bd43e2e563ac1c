"""mvit3_bench.compat: operators of the stand-in equal the real ones."""
import importlib.metadata
import importlib.util
import os
import subprocess
import sys

import conftest
import pytest
import torch

from mvit3_bench import compat
from mvit3_bench.compat import ext_stand_in

if importlib.util.find_spec('mmcv') is None:
    pytest.skip('mmcv is not installed', allow_module_level=True)
sys_ext = sys.modules.get(ext_stand_in.EXT)
needs_stand_in = pytest.mark.skipif(
    not isinstance(sys_ext, ext_stand_in.ExtStandIn), reason='mmcv has its compiled operators')


def random_boxes(number: int, size: float = 64.0) -> torch.Tensor:
    """(number, 4) boxes x1, y1, x2, y2 within `size` pixels, many of them overlapping."""
    corner = torch.rand(number, 2) * size / 2
    return torch.cat([corner, corner + 2 + torch.rand(number, 2) * size / 2], dim=1)


def naive_nms(boxes, scores, threshold, offset):
    """Greedy suppression, one pair after the other, with widths x2 - x1 + offset."""
    kept = []
    for i in scores.argsort(descending=True).tolist():
        for j in kept:
            low, high = torch.max(boxes[i, :2], boxes[j, :2]), torch.min(boxes[i, 2:], boxes[j, 2:])
            inter = (high - low + offset).clamp(min=0).prod()
            area_i, area_j = ((boxes[k, 2:] - boxes[k, :2] + offset).prod() for k in (i, j))
            if inter / (area_i + area_j - inter) > threshold:
                break
        else:
            kept.append(i)
    return kept


@pytest.mark.parametrize('offset', [0, 1])
def test_nms_equals_naive(offset):
    """mmcv's nms keeps exactly the boxes that a naive suppression keeps, best first."""
    from mmcv.ops import nms
    torch.manual_seed(offset)
    boxes, scores = random_boxes(60, size=20.0), torch.rand(60)
    dets, kept = nms(boxes, scores, iou_threshold=0.3, offset=offset)
    assert 1 < len(kept) < 60
    assert kept.tolist() == naive_nms(boxes, scores, 0.3, offset)
    assert torch.equal(dets, torch.cat([boxes[kept], scores[kept, None]], dim=1))


def test_nms_without_boxes_and_in_half_precision():
    """No box gives no box, and half-precision scores beside float boxes are accepted."""
    from mmcv.ops import nms
    assert len(nms(torch.zeros(0, 4), torch.zeros(0), 0.5)[1]) == 0
    same, scores = random_boxes(1).expand(2, 4), torch.tensor([0.25, 0.5]).half()
    assert nms(same, scores, 0.5)[1].tolist() == [1]


@pytest.mark.parametrize('split_thr', [10000, 10], ids=['at_once', 'class_by_class'])
def test_batched_nms_equals_torchvision(split_thr):
    """mmcv's batched_nms keeps what torchvision's keeps, on both of mmcv's paths."""
    from mmcv.ops import batched_nms
    from torchvision.ops import batched_nms as expected
    torch.manual_seed(0)
    boxes, scores, classes = random_boxes(50), torch.rand(50), torch.randint(3, (50,))
    config = dict(type='nms', iou_threshold=0.4, split_thr=split_thr)
    kept = batched_nms(boxes, scores, classes, config)[1]
    assert kept.tolist() == expected(boxes, scores, classes, 0.4).tolist()


@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.parametrize('sampling_ratio', [0, 2])
def test_roi_align_equals_torchvision(aligned, sampling_ratio):
    """mmcv's RoIAlign gives torchvision's values, and torchvision's gradient of the features."""
    from mmcv.ops import RoIAlign
    from torchvision.ops import roi_align
    torch.manual_seed(0)
    rois = torch.cat([torch.randint(2, (5, 1)).float(), random_boxes(5)], dim=1)
    ours = torch.randn(2, 3, 16, 16, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    out = RoIAlign((3, 5), 0.25, sampling_ratio, aligned=aligned)(ours, rois)
    expected = roi_align(theirs, rois, (3, 5), 0.25, sampling_ratio, aligned)
    torch.testing.assert_close(out, expected)
    grad = torch.randn_like(out)
    out.backward(grad)
    expected.backward(grad)
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_roi_align_gradient_is_the_slope():
    """The gradient of mmcv's RoIAlign is that of finite differences."""
    from mmcv.ops import RoIAlign
    rois = torch.tensor([[0, 1.3, 0.7, 6.2, 5.1]], dtype=torch.float64)
    features = torch.randn(1, 2, 8, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: RoIAlign(2)(x, rois), features)


@needs_stand_in
def test_roi_align_of_the_maximum_is_refused():
    """RoIAlign with pool_mode='max' raises, naming what to do."""
    from mmcv.ops import RoIAlign
    with pytest.raises(NotImplementedError, match="pool_mode='max'.*mim install"):
        RoIAlign(2, pool_mode='max')(torch.zeros(1, 1, 4, 4), torch.tensor([[0, 0, 0, 2., 2.]]))


@pytest.mark.parametrize('gamma', [0.0, 1.5, 2.0])
def test_focal_loss_equals_mmdet(gamma):
    """mmcv's sigmoid focal loss has the value and the gradient of mmdet's plain formula."""
    pytest.importorskip('mmdet')
    from mmcv.ops import sigmoid_focal_loss
    from mmdet.models.losses.focal_loss import py_sigmoid_focal_loss
    torch.manual_seed(0)
    target = torch.randint(5, (12,))  # 4 classes, and 4 for the background
    ours = (3 * torch.randn(12, 4)).requires_grad_()
    theirs = ours.detach().clone().requires_grad_()
    loss = sigmoid_focal_loss(ours, target, gamma, 0.25, None, 'none')
    one_hot = torch.nn.functional.one_hot(target, 5)[:, :4]
    expected = py_sigmoid_focal_loss(theirs, one_hot, gamma=gamma, alpha=0.25, reduction='none')
    torch.testing.assert_close(loss, expected)
    loss.sum().backward()
    expected.sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_focal_loss_is_finite_for_sure_logits():
    """A logit of 200 on the wrong side costs 200 and has slope 1, where a naive log is inf."""
    from mmcv.ops import sigmoid_focal_loss
    logits = torch.tensor([[-200.0]], requires_grad=True)
    loss = sigmoid_focal_loss(logits, torch.tensor([0]), 2.0, 1.0, None, 'sum')
    loss.backward()
    assert loss.item() == pytest.approx(200) and logits.grad.item() == pytest.approx(-1)


@needs_stand_in
def test_unsupported_operator_names_itself_and_the_remedy():
    """An operator we do not have raises only when called, and says how to get it."""
    from mmcv.ops import soft_nms
    with pytest.raises(NotImplementedError, match="'softnms'.*mim install"):
        soft_nms(torch.zeros(1, 4), torch.zeros(1))


@needs_stand_in
def test_stand_in_is_an_honest_module():
    """It has a spec, no dunder it does not own, and tells mmcv that nothing is compiled."""
    from mmcv.utils.env import collect_env
    assert importlib.util.find_spec(ext_stand_in.EXT).loader is None
    assert not hasattr(sys_ext, '__path__') and not hasattr(sys_ext, '__wrapped__')
    assert sys_ext.softnms is sys_ext.softnms
    assert 'stand-in' in collect_env()['MMCV Compiler']


@needs_stand_in
def test_stand_in_says_so_once(monkeypatch):
    """The log has one line about the stand-in, however many operators are called."""
    from mmcv.ops import nms
    lines = []
    monkeypatch.setattr(ext_stand_in, 'print_log', lambda message, **_: lines.append(message))
    ext_stand_in._announce.cache_clear()
    for _ in range(3):
        nms(random_boxes(2), torch.rand(2), 0.5)
    assert len(lines) == 1 and 'mim install' in lines[0]


def run_python(code: str, *path) -> None:
    """Run `code` in a fresh process, with `path` in front of our package on Python's path."""
    root = str(conftest.ROOT)
    python_path = os.pathsep.join([*map(str, path), root])
    subprocess.run([sys.executable, '-W', 'ignore', '-c', code], check=True,
                   env={**os.environ, 'PYTHONPATH': python_path})


def test_real_ext_is_never_replaced(tmp_path):
    """Where mmcv has a module `_ext` of its own, importing compat leaves it alone."""
    (tmp_path / 'mmcv').mkdir()
    (tmp_path / 'mmcv' / '__init__.py').touch()
    (tmp_path / 'mmcv' / '_ext.py').write_text('REAL = True\n')
    run_python('import mvit3_bench.compat, mmcv._ext; assert mmcv._ext.REAL', tmp_path)


def test_stand_in_may_come_late():
    """Imported after mmpretrain's share of mmcv, compat supplies what mmcv left out by then."""
    run_python('import mmcv.cnn.bricks.transformer as transformer, mvit3_bench.compat\n'
               'transformer.MultiScaleDeformableAttention')


def test_importing_again_changes_nothing():
    """Applying everything a second time adds no entry and keeps the same stand-in."""
    before = set(torch.serialization.get_safe_globals())
    compat.install_ext_stand_in()
    compat.allow_checkpoint_types()
    assert set(torch.serialization.get_safe_globals()) == before
    assert sys.modules.get(ext_stand_in.EXT) is sys_ext


def test_bases_of_mmsegmentation_are_looked_for_by_a_name_that_is_there():
    """The released mmsegmentation keeps its name; a fork's distribution has another, so there it is the module's."""
    from mmengine.config.utils import MODULE2PACKAGE
    if importlib.util.find_spec('mmseg') is None:
        pytest.skip('mmseg is not installed')
    released = bool(list(importlib.metadata.distributions(name='mmsegmentation')))
    assert MODULE2PACKAGE['mmseg'] == ('mmsegmentation' if released else 'mmseg')
