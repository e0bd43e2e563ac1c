"""What is exported computes what the model computes, at every batch, in standard operators of ONNX."""
import re
import sys
import zipfile
from dataclasses import replace

import conftest
import cv2
import numpy as np
import pytest
import torch
from backbones import TYPES, build, every_arch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from test_deploy import deviation, lived_in
from torch import nn

from mvit3_bench.datasets.configs import meta_of_test
from mvit3_bench.deploy.export import ExportError, export
from mvit3_bench.deploy.layers import AdaptivePool
from mvit3_bench.deploy.targets import TARGETS, require
from mvit3_bench.deploy.wrappers import wrap
from mvit3_bench.registry import MODELS

FORMS = [name for name, target in TARGETS.items() if not target.device]
MODULE = sys.modules[export.__module__]  # its name is that of the function in the package
slow = pytest.mark.slow(reason='each export takes some ten seconds')


def needs(form: str) -> None:
    try:
        require(form)
    except ImportError as error:
        pytest.skip(str(error))


def check_onnx(file) -> None:
    """One file of standard operators, batch and names as promised, no tensor of more than rank 5."""
    import onnx
    model = onnx.load(file)
    onnx.checker.check_model(model, full_check=True)
    assert [(each.domain, each.version) for each in model.opset_import] == [('', 18)] and not model.functions
    assert {node.domain for node in model.graph.node} <= {'', 'ai.onnx'}
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    values = [*inferred.value_info, *inferred.input, *inferred.output, *inferred.initializer]
    ranks = [len(each.dims) if hasattr(each, 'dims') else len(each.type.tensor_type.shape.dim) for each in values]
    assert len(ranks) > 50 and max(ranks) <= 5
    assert {node.op_type for node in model.graph.node}.isdisjoint({'Col2Im', 'Loop', 'If', 'Scan'})
    assert torch.__version__ < '2.7' or 'GatherND' not in {node.op_type for node in model.graph.node}
    assert all(each.type.tensor_type.shape.dim[0].dim_param == 'batch' for each in (*inferred.input, *inferred.output))


def check_backbone(tmp_path, family, arch, form, size=(64, 64)):
    needs(form)
    done = export(lived_in(build(family, arch, out_indices=(1, -1))), size, form, tmp_path / f'model{TARGETS[form].suffix}')
    assert list(done.deviations) == [1, 3] and max(done.deviations.values()) < 1e-4
    assert sorted(tmp_path.iterdir()) == sorted(done.files)  # nothing else is left behind
    told = [file.read_bytes() for file in done.files]
    if form == 'torch':
        with zipfile.ZipFile(done.files[0]) as program:
            told = [program.read(name) for name in program.namelist()]
    assert not any(str(conftest.ROOT).encode() in each for each in told)  # no source, whose path is this machine's
    if form == 'onnx':
        check_onnx(done.files[0])


@pytest.mark.parametrize('family, arch, form', [
    *((*kind, 'onnx') for kind in TYPES[2:]), ('v3', 'xxs', 'torch'), ('v2', '0.5', 'torch'), ('v1', 'xxs', 'openvino')])
def test_some_backbones(tmp_path, family, arch, form):
    """Each type once; batches of 1 and 3 within 1e-4 standard deviations is what :func:`export` checks itself."""
    check_backbone(tmp_path, family, arch, form)


@slow
@pytest.mark.parametrize('form', FORMS)
@every_arch
def test_backbones(tmp_path, family, arch, form):
    """Every arch in every form; a height that becomes odd maps, too."""
    check_backbone(tmp_path, family, arch, form, (72, 96))


def whole(path: str, **changes) -> nn.Module:
    cfg = Config.fromfile(conftest.ROOT / 'configs' / path)
    pytest.importorskip(cfg.default_scope)
    cfg.merge_from_dict(changes)
    init_default_scope(cfg.default_scope)
    torch.manual_seed(0)  # of the weights that lived_in() leaves
    model = lived_in(MODELS.build(cfg.model)).eval()
    for module in model.modules():  # spread the scores, which are all alike in an untrained model
        if isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1)):
            nn.init.kaiming_normal_(module.weight)
    if path.startswith('det'):
        for conv in model.bbox_head.cls_convs:
            conv.weight.data *= 8
    return model


def pixels(*size: int) -> torch.Tensor:
    """Two images as a loader gives them, BGR, 0 .. 255."""
    return torch.randint(256, (2, 3, *size), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def predict(model: nn.Module, bgr: torch.Tensor):
    """What the framework itself predicts."""
    from mmengine.structures import BaseDataElement
    size = tuple(bgr.shape[-2:])
    kind = dict(ImageClassifier='mmpretrain', EncoderDecoder='mmseg', SingleStageDetector='mmdet')[type(model).__name__]
    sample = getattr(__import__(f'{kind}.structures', fromlist=['structures']), {
        'mmpretrain': 'DataSample', 'mmseg': 'SegDataSample', 'mmdet': 'DetDataSample'}[kind])
    assert issubclass(sample, BaseDataElement)
    metainfo = dict(img_shape=size, ori_shape=size, pad_shape=size, scale_factor=(1.0, 1.0))
    inputs = bgr if kind == 'mmpretrain' else list(bgr)
    with torch.no_grad():
        return model.test_step(dict(inputs=inputs, data_samples=[sample(metainfo=metainfo) for _ in bgr]))


@pytest.mark.parametrize('path', ['cls/mvit3_xxs_in1k.py', 'cls/mvit3_0.5_in1k.py'])
def test_classifier(path):
    """RGB pixels in, the framework's scores out, for weights of either order of colours."""
    model, bgr = whole(path), pixels(64, 64)
    with torch.no_grad():
        scores, = wrap(model, (64, 64))(bgr.flip(1).float())
    assert deviation(scores, torch.stack([each.pred_score for each in predict(model, bgr)])) < 1e-5


@pytest.mark.parametrize('path', ['seg/deeplabv3_mvit3_xxs_camvid.py', 'seg/pspnet_mvit3_0.5_voc2012.py'])
def test_segmentor(path):
    """The framework's label of every pixel."""
    model, bgr = whole(path), pixels(64, 96)
    with torch.no_grad():
        labels, = wrap(model, (64, 96))(bgr.flip(1).float())
    assert torch.equal(labels, torch.stack([each.pred_sem_seg.data[0] for each in predict(model, bgr)]))


@pytest.mark.parametrize('path, places', [
    ('det/ssdlite_mvit3_xxs_coco.py', 80 * 200), ('det/ssdlite_mvit2_0.5_coco.py', 200)])
def test_detector(path, places):
    """The framework's detections, best first, then padding; the v1 type has place for 200 of each class."""
    model, bgr = whole(path, **{'model.test_cfg.score_thr': 0.3}), pixels(96, 128)
    with torch.no_grad():
        answers = wrap(model, (96, 128))(bgr.flip(1).float())
    for boxes, scores, labels, each in zip(*answers, predict(model, bgr), strict=True):
        expected, count = each.pred_instances, len(each.pred_instances)
        assert 0 < count <= len(labels) == places and (labels[count:] == -1).all() and not scores[count:].any()
        torch.testing.assert_close(boxes[:count], expected.bboxes)
        torch.testing.assert_close(scores[:count], expected.scores)
        assert torch.equal(labels[:count], expected.labels)


@pytest.mark.parametrize('limits, places', [
    (dict(max_per_class=-1, max_per_img=-1, nms=dict(iou_threshold=0.5, max_num=2)), 160),
    (dict(max_per_class=5, max_per_img=-1, nms=dict(iou_threshold=0.5)), 400),
    (dict(max_per_class=5, max_per_img=30, nms=dict(iou_threshold=0.5, max_num=2)), 30)])
def test_limits_of_a_detector(limits, places):
    """Each limit of ``test_cfg``, and -1 for none, is that of the framework's detections."""
    model, bgr = whole('det/ssdlite_mvit3_xxs_coco.py'), pixels(96, 128)
    model.test_cfg.update(limits)
    model.bbox_head.test_cfg.update(limits)
    with torch.no_grad():
        answers = wrap(model, (96, 128))(bgr.flip(1).float())
    for boxes, scores, labels, each in zip(*answers, predict(model, bgr), strict=True):
        expected, count = each.pred_instances, len(each.pred_instances)
        assert 0 < count <= len(labels) == places and (labels[count:] == -1).all()
        torch.testing.assert_close(scores[:count], expected.scores)
        torch.testing.assert_close(boxes[:count], expected.bboxes)


@pytest.mark.parametrize('form, path, raw', [
    ('onnx', 'det/ssdlite_mvit3_xxs_coco.py', False),
    pytest.param('onnx', 'det/ssdlite_mvit3_0.5_coco.py', True, marks=slow),
    pytest.param('openvino', 'det/ssdlite_mvit3_xxs_coco.py', False, marks=slow),
    pytest.param('torch', 'det/ssdlite_mvit3_xxs_coco.py', False, marks=slow),
    pytest.param('onnx', 'seg/pspnet_mvit3_0.5_voc2012.py', False, marks=slow),
    pytest.param('openvino', 'seg/pspnet_mvit3_0.5_voc2012.py', True, marks=slow)])
def test_whole_models(tmp_path, form, path, raw):
    """With weights whose scores differ; with post-processing and without."""
    needs(form)
    changes = {'model.test_cfg.score_thr': 0.3} if path.startswith('det') else {}
    done = export(whole(path, **changes), (96, 128), form, tmp_path / f'model{TARGETS[form].suffix}', raw=raw, note='a test')
    assert max(done.deviations.values()) < 1e-4
    if form == 'onnx':
        check_onnx(done.files[0])


@pytest.mark.parametrize('form', ['onnx', *(pytest.param(form, marks=slow) for form in TARGETS if form != 'onnx')])
def test_documentation(tool, run_dir, form):
    """The command of docs/deploy.md writes what its example reads."""
    pytest.importorskip('mmpretrain')
    needs(form)
    outcome = tool('export', conftest.ROOT / 'configs/cls/mvit3_xxs_in1k.py', 'none', '--to', form)
    assert not outcome.code, outcome.output
    device = TARGETS[form].device
    parts = ['MB', 'output scores: ', 'input '] + ([] if device else ['(batch, 3, 256, 256)', '(batch, 1000)', 'at batch 3'])
    assert all(part in outcome.output for part in parts), outcome.output
    if 'not run' in outcome.output:
        pytest.skip(f'{form} does not run on this machine')
    cv2.imwrite('picture.jpg', np.random.default_rng(0).integers(256, size=(300, 400, 3), dtype=np.uint8))
    page = (conftest.ROOT / 'docs' / 'deploy.md').read_text(encoding='utf-8')
    first, *others = re.findall(r'^```python\n(.*?)^```', page, re.DOTALL | re.MULTILINE)
    example, = (each for each in others if f'mvit3_xxs_in1k{TARGETS[form].suffix}' in each)
    names = {}
    exec(first + example, names)
    assert names['scores'].shape == (1, 1000) and float(names['scores'].sum()) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize('config, flags, message', [
    ('det/ssdlite_mvit3_xxs_coco.py', ['--shape', 100, 320], 'allowed: multiples of 16, .* for instance 112x320'),
    ('cls/mvit3_xxs_in1k.py', ['--shape', 0], 'allowed: a height and a width of 1 or more'),
    ('cls/mvit3_xxs_in1k.py', ['--shape', 1, 2, 3], 'one or two numbers'),
    ('cls/mvit3_xxs_in1k.py', ['--out', 'model.bin'], 'model.bin: a file of torch ends in .pt2'),
    ('cls/mvit3_xxs_in1k.py', ['--sensitivity', 3], '--sensitivity is of INT8, and --precision is float32'),
    ('cls/mvit3_xxs_in1k.py', ['--calibration', 3], '--calibration is of INT8, and --precision is float32'),
    ('cls/none.py', [], 'config not found')])
def test_bad_input(tool, run_dir, config, flags, message):
    """Refused before anything is exported, in a line."""
    pytest.importorskip('mmdet' if config.startswith('det') else 'mmpretrain')
    outcome = tool('export', conftest.ROOT / 'configs' / config, 'none', '--to', 'torch', *flags)
    assert outcome.code == 1 and re.search(f'error: .*{message}', outcome.output), outcome.output
    assert not list(run_dir.glob('*.*'))


def test_missing_package(tool, run_dir, monkeypatch):
    """A missing package comes with the line that installs it."""
    monkeypatch.setattr('mvit3_bench.deploy.targets.base.find_spec', lambda name: None)
    outcome = tool('export', conftest.ROOT / 'configs/cls/mvit3_xxs_in1k.py', 'none', '--to', 'openvino')
    assert outcome.code == 1 and 'pip install onnx onnxscript openvino' in outcome.output


def test_other_outputs_are_not_kept(tmp_path, monkeypatch):
    """A file that computes something else is not written, and an older one of its name stays."""
    file = tmp_path / 'model.pt2'
    file.write_text('older')
    wrong = lived_in(build('v3', 'xxs', out_indices=(0,)))
    with torch.no_grad():
        wrong.stem.conv.weight += 0.1
    monkeypatch.setattr(MODULE, 'fuse', lambda model, size: wrong.eval())
    with pytest.raises(ExportError, match='deviates from the model by .* so it was not kept'):
        export(lived_in(build('v3', 'xxs', out_indices=(0,))), (32, 32), 'torch', file)
    assert file.read_text() == 'older' and list(tmp_path.iterdir()) == [file]


def test_runtime_that_fails(tmp_path, monkeypatch):
    """A runtime that cannot run what was written is named, with what it says, and nothing is kept."""
    def refuse(images):
        raise RuntimeError('no kernel for this')
    loaded = TARGETS['torch'].load
    monkeypatch.setitem(MODULE.TARGETS, 'torch', replace(
        TARGETS['torch'], load=lambda file: replace(loaded(file), call=refuse)))
    with pytest.raises(ExportError, match='the runtime of torch cannot run what was exported: no kernel for this'):
        export(build('v3', 'xxs', out_indices=(0,)), (32, 32), 'torch', tmp_path / 'model.pt2')
    assert not list(tmp_path.iterdir())


class FixedSize(nn.Module):
    """A backbone that takes images of one size."""
    in_channels = 3

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, bias=False)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x):
        assert x.shape[2:] == (48, 40)
        return self.norm(self.conv(x)),


def test_backbone_of_a_fixed_size(tmp_path):
    """The inference copy is checked at the size of the export."""
    assert export(FixedSize(), (48, 40), 'torch', tmp_path / 'model.pt2').deviations[1] < 1e-5


def test_network_of_others(tmp_path):
    """A network that gives one tensor has one output, and layers frozen by hand stay so."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten()).train()
    model[1].eval()
    done = export(model, (16, 16), 'torch', tmp_path / 'model.pt2')
    assert list(done.outputs.values()) == ['(batch, 4) float32'] and max(done.deviations.values()) < 1e-5
    assert [module.training for module in model] == [True, False, True, True]


@pytest.mark.parametrize('change, form, message', [
    (lambda model: model.half(), 'torch', r'a model in float16 on cpu cannot be exported; allowed: float32 on the CPU'),
    (lambda model: model, 'tflite', "'tflite' is no format; allowed: onnx, ")])
def test_impossible_calls(tmp_path, change, form, message):
    """They are told what is possible."""
    with pytest.raises(ValueError, match=message):
        export(change(FixedSize()), (48, 40), form, tmp_path / 'model.pt2')


@pytest.mark.parametrize('size, bins', [((7, 12), (3, 5)), ((8, 8), (2, 2)), ((2, 3), (6, 6))])
def test_adaptive_pool(size, bins):
    """Bins of unequal width, and more bins than pixels."""
    x = torch.rand(2, 3, *size)
    torch.testing.assert_close(AdaptivePool(bins)(x), nn.AdaptiveAvgPool2d(bins)(x))


def of_head(kind: str) -> nn.Module:
    """A classifier with another head."""
    cfg = Config.fromfile(conftest.ROOT / 'configs/cls/mvit3_xxs_in1k.py')
    init_default_scope(cfg.default_scope)
    width = MODELS.build(cfg.model).head.fc.in_features
    cfg.model.head = dict(type=kind, num_classes=5, in_channels=width)
    cfg.model.train_cfg = None
    return lived_in(MODELS.build(cfg.model)).eval()


def test_head_of_several_labels():
    """Its scores are those that the framework predicts, a sigmoid each; a head that is not known is refused, raw is not."""
    pytest.importorskip('mmpretrain')
    model, bgr = of_head('MultiLabelLinearClsHead'), pixels(64, 64)
    wrapper = wrap(model, (64, 64))
    with torch.no_grad():
        scores, = wrapper(bgr.flip(1).float())
    assert deviation(scores, torch.stack([each.pred_score for each in predict(model, bgr)])) < 1e-5

    class OwnHead(type(model.head)):
        def predict(self, feats, data_samples=None):
            raise NotImplementedError
    model.head.__class__ = OwnHead
    with pytest.raises(ValueError, match='OwnHead cannot be exported'):
        wrap(model, (64, 64))
    wrap(model, (64, 64), raw=True)


def test_what_is_compared_is_the_prediction():
    """A wrapper that computes something else than the framework deviates from its predictions."""
    pytest.importorskip('mmpretrain')
    model = whole('cls/mvit3_xxs_in1k.py')
    wrapper = wrap(model, (64, 64))
    images = torch.rand(2, 3, 64, 64) * 255
    wrapper.sigmoid = True
    assert not wrapper.deviation(images, wrapper.predicted(images)) < 1e-2


@pytest.mark.parametrize('path', ['cls/mvit3_xxs_in1k.py', 'seg/deeplabv3_mvit3_xxs_camvid.py',
                                  'det/ssdlite_mvit3_xxs_coco.py'])
def test_wrappers_against_the_prediction(path):
    """In each task the wrapper's answers are those of the framework's post-processing; with NaN they never are."""
    changes = {'model.test_cfg.score_thr': 0.3} if path.startswith('det') else {}
    model = whole(path, **changes)
    wrapper, images = wrap(model, (96, 128)), torch.rand(2, 3, 96, 128) * 255
    assert wrapper.deviation(images, wrapper.predicted(images)) < 1e-4
    found = wrapper.predicted(images)
    next(model.backbone.parameters()).data.fill_(torch.nan)
    assert not wrapper.deviation(images, found) <= 1


def test_replaced_with_a_word(tmp_path):
    """An export that was there is replaced, and the log says so."""
    said = []
    for _ in range(2):
        export(lived_in(build('v3', 'xxs')), (64, 64), 'torch', tmp_path / 'a.pt2', log=said.append)
    assert sum('a.pt2 was there already and is replaced' in each for each in said) == 1


@pytest.mark.parametrize('task', conftest.TASKS)
def test_classes_in_another_order(tmp_path, tool, weights, task):
    """The numbers that an exported model gives are those of the checkpoint's classes: with others in the config, refused."""
    config, file = weights[task]
    classes = list(meta_of_test(Config.fromfile(config))['classes'])
    meta = dict(dataset_meta=dict(classes=classes[::-1]))
    torch.save(dict(torch.load(file, weights_only=True), meta=meta), tmp_path / 'turned.pth')
    outcome = tool('export', config, tmp_path / 'turned.pth', '--to', 'torch', '--out', tmp_path / 'model.pt2')
    assert outcome.code == 1 and 'this run has them in another order' in outcome.output, outcome.output
    assert 'Traceback' not in outcome.output and not (tmp_path / 'model.pt2').exists()
