"""mvit3_bench.compat: operators of the stand-in equal the real ones, and resuming is safe."""
import importlib.util
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer

from mvit3_bench import compat

if importlib.util.find_spec('mmcv') is None:
    pytest.skip('mmcv is not installed', allow_module_level=True)
sys_ext = sys.modules.get(compat.EXT)
needs_stand_in = pytest.mark.skipif(
    not isinstance(sys_ext, compat.ExtStandIn), reason='mmcv has its compiled operators')


# ---------------------------------------------------------------------------------------- operators
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
    assert importlib.util.find_spec(compat.EXT).loader is None
    assert not hasattr(sys_ext, '__path__') and not hasattr(sys_ext, '__wrapped__')
    assert sys_ext.softnms is sys_ext.softnms
    assert 'stand-in' in collect_env()['MMCV Compiler']


@needs_stand_in
def test_stand_in_says_so_once(monkeypatch):
    """The log has one line about the stand-in, however many operators are called."""
    from mmcv.ops import nms
    lines = []
    monkeypatch.setattr(compat, 'print_log', lambda message, **_: lines.append(message))
    compat._announce.cache_clear()
    for _ in range(3):
        nms(random_boxes(2), torch.rand(2), 0.5)
    assert len(lines) == 1 and 'mim install' in lines[0]


def run_python(code: str, *path) -> None:
    """Run `code` in a fresh process, with `path` in front of our package on Python's path."""
    root = os.path.dirname(os.path.dirname(compat.__file__))
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


# ----------------------------------------------------------------------------------------- resuming
def save_and_load(value, tmp_path):
    """What `torch.load`, in its safe mode, makes of a saved value."""
    torch.save(value, tmp_path / 'value.pth')
    return torch.load(tmp_path / 'value.pth', weights_only=True)


def make_runner(work_dir, epochs: int, resume: bool = False):
    """A run that fits a line to four points on the CPU, with EMA, best score and a data set."""
    from mmengine.dataset import BaseDataset
    from mmengine.evaluator import BaseMetric
    from mmengine.model import BaseModel
    from mmengine.runner import Runner

    class Points(BaseDataset):
        METAINFO = dict(classes=('point',), palette=[(1, 2, 3)], mean=np.array([0.5, 1.5]))

        def load_data_list(self):
            return [dict(x=torch.tensor([float(x)])) for x in range(4)]

    class Line(BaseModel):

        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)

        def forward(self, x, sample_idx=None, mode='tensor'):
            return dict(loss=(self.layer(x) - x).square().mean()) if mode == 'loss' else [x]

    class Score(BaseMetric):

        def process(self, data_batch, data_samples):
            self.results.append(1)

        def compute_metrics(self, results):
            return dict(score=np.float64(0.5), per_class=np.array([0.25, 0.75]))

    loader = dict(batch_size=2, dataset=Points(metainfo=ConfigDict(label_map=dict(old=1))),
                  sampler=dict(type='DefaultSampler', shuffle=False),
                  collate_fn=dict(type='default_collate'))
    return Runner(
        model=Line(), work_dir=str(work_dir), resume=resume,
        train_dataloader=loader, val_dataloader=loader, val_evaluator=[Score()], val_cfg=dict(),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.01)),
        param_scheduler=[dict(type='LinearLR', start_factor=0.1, end=1),
                         dict(type='CosineAnnealingLR', T_max=4, begin=1)],
        default_hooks=dict(checkpoint=dict(
            type='CheckpointHook', save_best='score', rule='greater', max_keep_ckpts=2)),
        custom_hooks=[dict(type='EMAHook')], experiment_name=f'compat_{work_dir.name}_{epochs}')


def test_run_is_resumed_with_its_history(tmp_path):
    """A real checkpoint of MMEngine loads safely, and the run goes on with its history."""
    make_runner(tmp_path, epochs=2).train()
    checkpoint = torch.load(tmp_path / 'epoch_2.pth', weights_only=True)
    losses = checkpoint['message_hub']['log_scalars']['train/loss']
    assert type(losses) is HistoryBuffer and len(losses.data[0]) == 4
    assert losses.statistics('mean', 2) == losses.data[0][-2:].mean() == losses.mean(2)
    assert checkpoint['message_hub']['runtime_info']['best_score'] == 0.5
    np.testing.assert_array_equal(checkpoint['meta']['dataset_meta']['mean'], [0.5, 1.5])

    runner = make_runner(tmp_path, epochs=3, resume=True)
    runner.train()
    assert runner.epoch == 3 and runner.iter == 6
    history = runner.message_hub.get_scalar('train/loss').data[0]
    np.testing.assert_array_equal(history[:4], losses.data[0])
    assert len(history) == 6
    torch.load(tmp_path / 'epoch_3.pth', weights_only=True)  # and can be resumed once more


@pytest.mark.parametrize('value', [
    np.float64(0.1), np.float32(0.1), np.int64(-3), np.bool_(True), np.str_('mIoU'),
    np.complex64(1j), np.array([]), np.array(2.5), np.array(['a', 'bc']), np.array([True, False]),
    np.arange(6).reshape(2, 3), np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.arange(3, dtype='>i4'), np.zeros(5000)], ids=lambda v: f'{type(v).__name__}_{v.dtype}')
def test_numpy_values_survive(value, tmp_path):
    """Numbers, text and arrays of numpy come back equal, and can be saved again."""
    first = save_and_load(value, tmp_path)
    second = save_and_load(first, tmp_path)
    for loaded in (first, second):
        assert isinstance(loaded, type(value))
        assert loaded.dtype == value.dtype.newbyteorder('=')  # numpy itself restores it native
        np.testing.assert_array_equal(loaded, value)


def test_old_numpy_names_are_known(tmp_path):
    """A checkpoint written under numpy 1, where `numpy._core` was `numpy.core`, loads too."""
    path = tmp_path / 'old.pth'
    torch.save([np.arange(3), np.float64(2)], path, _use_new_zipfile_serialization=False)
    data = path.read_bytes()
    old = data.replace(b'numpy._core.', b'numpy.core.')
    assert old != data
    path.write_bytes(old)
    array, number = torch.load(path, weights_only=True)
    assert array.tolist() == [0, 1, 2] and number == 2


def test_empty_history_and_config_dict_survive(tmp_path):
    """A history without entries, and a dictionary out of a config, come back as they were."""
    history, config = save_and_load([HistoryBuffer(), ConfigDict(a=dict(b=1))], tmp_path)
    assert type(history) is HistoryBuffer and len(history.data[0]) == 0
    assert type(config) is ConfigDict and config.a.b == 1


class Reduced:
    """Pickles as the call `function(*args)`, followed by setting `state` if there is one."""

    def __init__(self, function, *args, state=None):
        self.parts = (function, args) if state is None else (function, args, state)

    def __reduce__(self):
        return self.parts


def poisoned_history(**attributes):
    """A HistoryBuffer that would carry foreign attributes into the loading process."""
    history = HistoryBuffer([1.0], [1])
    history.__dict__.update(attributes)
    return history


HOSTILE = {
    'system': lambda touch: Reduced(os.system, touch),
    'eval': lambda touch: Reduced(eval, f'__import__("os").system({touch!r})'),
    'in_a_list': lambda touch: dict(meta=[(1, Reduced(os.system, touch))]),
    'in_an_array': lambda touch: np.array([Reduced(os.system, touch)], dtype=object),
    'in_a_history': lambda touch: poisoned_history(max_length=Reduced(os.system, touch)),
    'getattr_init': lambda touch: Reduced(getattr, HistoryBuffer, '__init__'),
    'getattr_update': lambda touch: Reduced(getattr, HistoryBuffer, 'update'),
    'getattr_of_tensor': lambda touch: Reduced(getattr, torch.Tensor, 'mean'),
    'getattr_of_text': lambda touch: Reduced(getattr, 'os', 'system'),
    'getattr_of_getattr': lambda touch: Reduced(
        getattr, Reduced(getattr, HistoryBuffer, 'mean'), '__globals__'),
    'shadowed_method': lambda touch: poisoned_history(mean=HistoryBuffer.max),
    'objects': lambda touch: np.array([{}], dtype=object),
    'records': lambda touch: np.zeros(1, dtype=[('a', 'i4')]),
    'forged_dtype': lambda touch: Reduced(np.dtype, 'V8', False, True, state=(
        3, '|', None, ('a',), {'a': (np.dtype('O'), 0)}, 8, 1, 0)),
    'foreign_memory': lambda touch: Reduced(np.ndarray, (1,), 'f8', bytearray(8)),
}


@pytest.mark.parametrize('name', HOSTILE)
def test_hostile_file_is_refused(name, tmp_path):
    """A file made to run code is refused by `torch.load`, and nothing of it is run."""
    mark = tmp_path / 'executed'
    torch.save(HOSTILE[name](f'touch {mark}'), tmp_path / 'hostile.pth')
    before = dict(HistoryBuffer._statistics_methods)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / 'hostile.pth', weights_only=True)
    assert not mark.exists()
    assert HistoryBuffer._statistics_methods == before


def test_array_is_filled_only_once(tmp_path):
    """New memory for an array that is in use is refused: a tensor may look at the old."""
    array = save_and_load(np.arange(4.0), tmp_path)
    with pytest.raises(pickle.UnpicklingError, match='twice'):
        array.__setstate__(np.arange(8.0).__reduce__()[2])


def test_importing_again_changes_nothing():
    """Applying everything a second time adds no entry and keeps the same stand-in."""
    before = set(torch.serialization.get_safe_globals())
    compat.install_ext_stand_in()
    compat.allow_checkpoint_types()
    assert set(torch.serialization.get_safe_globals()) == before
    assert sys.modules.get(compat.EXT) is sys_ext
