"""INT8 and half precision: calibrated with images of the config, the harmed layers named, refused where nobody writes it."""
import conftest
import pytest
import torch
from backbones import build
from mmengine.config import Config
from test_export import needs, whole
from torch import nn

from mvit3_bench.cli import export as command
from mvit3_bench.deploy.export import deploy, export, size_of
from mvit3_bench.deploy.quantise import KEEPING, PRECISIONS, WRITERS, Calibration
from mvit3_bench.deploy.quantise.calibration import agreement, pipeline_images
from mvit3_bench.deploy.quantise.onnx import nodes_of
from mvit3_bench.deploy.quantise.sensitivity import sensitivity
from mvit3_bench.deploy.targets import TARGETS
from mvit3_bench.deploy.targets import onnx as onnx_target
from mvit3_bench.engine.mini import to_mini
from mvit3_bench.engine.run_config import read_config
from mvit3_bench.errors import UsageError

slow = pytest.mark.slow(reason='each export takes up to a minute or two')
XXS = conftest.ROOT / 'configs/cls/mvit3_xxs_in1k.py'


def test_agreement():
    """Images, pixels, anchors and detections, by hand."""
    scores = torch.eye(4)
    assert agreement('classification', True, [scores], [scores.flip(0)]) == 0
    assert agreement('classification', False, [scores], [scores[[0, 1, 3, 2]]]) == 0.5
    labels = torch.tensor([[[0, 1], [2, 2]]])
    assert agreement('segmentation', False, [labels], [torch.tensor([[[0, 1], [2, 1]]])]) == 0.75
    boxes, anchors = torch.zeros(1, 3, 4), torch.tensor([[[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]])
    assert agreement('detection', True, [boxes, anchors], [boxes, anchors.flip(-1)]) == 0
    boxes = torch.tensor([[[0., 0, 10, 10], [20, 20, 30, 30], [0, 0, 0, 0]]])
    labels = torch.tensor([[1, 2, -1]])
    moved = boxes + torch.tensor([[[1.], [8], [0]]])
    assert agreement('detection', False, [boxes, anchors, labels], [moved, anchors, labels]) == 0.5


def mini(task: str) -> Config:
    """The config of a task on its miniature data."""
    return to_mini(read_config(str(conftest.ROOT / 'configs' / conftest.TASKS[task])))


@pytest.mark.parametrize('task', conftest.TASKS)
def test_images_of_a_config(run_dir, task):
    """Of the train set, behind the test pipeline: RGB, 0 .. 255, of the size that is asked for."""
    cfg = mini(task)
    images = pipeline_images(cfg, 'train_dataloader', (64, 96), 3)
    assert images.shape == (3, 3, 64, 96) and images.dtype == torch.float32
    assert images.min() >= 0 and 100 < images.max() <= 255 and not torch.equal(images[0], images[2])


def test_without_images(tool, run_dir):
    """Data that are not there, or no train set: named."""
    outcome = tool('export', XXS, 'none', '--to', 'onnx', '--precision', 'int8')
    assert outcome.code == 1 and 'Traceback' not in outcome.output
    assert 'error: INT8 needs images to calibrate with, and those of train_dataloader cannot be read' in outcome.output
    cfg = Config.fromfile(XXS)
    cfg.train_dataloader = None
    with pytest.raises(UsageError, match='the config has no train_dataloader'):
        pipeline_images(cfg, 'train_dataloader', (64, 64), 1)


@pytest.mark.parametrize('flags, message', [
    (['--to', 'torch', '--precision', 'int8'],
     '--precision int8 is not possible with --to torch; torch has float32; int8 is possible with --to onnx, openvino, '
     'litert, executorch'),
    (['--to', 'litert', '--precision', 'int8', '--sensitivity', 2], '--sensitivity is not possible with --to litert'),
    (['--to', 'onnx', '--precision', 'int8', '--calibration', 0], '--calibration 0 is not possible')])
def test_bad_flags(tool, run_dir, flags, message):
    """Refused, with what is possible."""
    outcome = tool('export', XXS, 'none', *flags)
    assert outcome.code == 1 and f'error: {message}' in outcome.output, outcome.output


def test_choices():
    """The parser repeats the precisions; every writer is one of them, of a target."""
    assert command.PRECISIONS == PRECISIONS and set(WRITERS) <= set(TARGETS)
    assert {each for found in WRITERS.values() for each in found} <= set(PRECISIONS)


def test_sensitivity():
    """A layer whose range is that of a channel without effect comes first; the weights are left as they were."""
    model = whole('cls/mvit3_xxs_in1k.py')
    deployed = deploy(model, (32, 32), raw=True, device=False)
    harmed = deployed.model.backbone.layer5[-1].transformer[0].fc2
    harmed.weight[:, 0] = 0
    handle = harmed.register_forward_pre_hook(lambda layer, inputs: inputs[0].index_fill(-1, torch.tensor([0]), 1e6))
    before = {name: value.clone() for name, value in deployed.state_dict().items()}
    effects = sensitivity(deployed, torch.rand(2, 3, 32, 32) * 255)
    handle.remove()
    layers = [module for module in deployed.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    assert len(effects) == len(layers) and max(effects, key=lambda effect: effect.noise).layer.endswith(
        'layer5.1.transformer.0.fc2')
    assert all(torch.equal(value, before[name]) for name, value in deployed.state_dict().items())


def test_nodes_of_modules(tmp_path):
    """A module's nodes are found by what the exporter notes, where it is kept; where nothing is found, that is an error."""
    needs('onnx')
    model = build('v3', 'xxs', out_indices=(-1,)).eval()
    deployed = deploy(model, (32, 32), raw=True, device=False)
    name, = (name for name, module in deployed.named_modules() if name.endswith('layer5.1.transformer.0.fc2'))
    for scopes in (True, False):
        onnx_target.write(deployed, tmp_path / 'model.onnx', {}, scopes=scopes)
        if scopes:
            assert len(nodes_of(tmp_path / 'model.onnx', (name,))) in range(1, 10)
        else:
            with pytest.raises(ValueError, match='no node of'):
                nodes_of(tmp_path / 'model.onnx', (name,))
        assert nodes_of(tmp_path / 'model.onnx', ()) == []


@slow
@pytest.mark.parametrize('form', [form for form in WRITERS if 'int8' in WRITERS[form]])
@pytest.mark.parametrize('task', ['classification', 'segmentation'])
def test_int8(tmp_path, run_dir, form, task):
    """Most answers stay, and the file is less than half as large."""
    needs(form)
    if form == 'openvino':
        pytest.importorskip('nncf')
    cfg, model = mini(task), whole(conftest.TASKS[task])
    images, others = (pipeline_images(cfg, f'{split}_dataloader', (64, 64), 8) for split in ('train', 'test'))
    done = export(model, (64, 64), form, tmp_path / f'model{TARGETS[form].suffix}', precision='int8',
                  calibration=Calibration(images, others))
    exact = sum(parameter.numel() * 4 for parameter in model.parameters())
    assert done.agreement > 0.8 and sum(map(size_of, done.files)) < exact / 2


@slow
@pytest.mark.parametrize('form, precision', [
    (form, precision) for form, found in WRITERS.items() for precision in found if precision != 'int8'])
def test_half_precision(tmp_path, form, precision):
    """Half the size, nearly the same outputs."""
    needs(form)
    model = whole('cls/mvit3_xxs_in1k.py')
    done = export(model, (64, 64), form, tmp_path / f'model{TARGETS[form].suffix}', precision=precision)
    exact = sum(parameter.numel() * 4 for parameter in model.parameters())
    assert 0 < max(done.deviations.values()) < 0.2 and sum(map(size_of, done.files)) < 0.65 * exact


@slow
@pytest.mark.parametrize('form', KEEPING)
def test_layers_in_float(tmp_path, form):
    """Of a model whose layers stay in float, all but one, all answers stay, and the file is large."""
    needs(form)
    if form == 'openvino':
        pytest.importorskip('nncf')
    model, images = whole('cls/mvit3_xxs_in1k.py'), torch.rand(6, 3, 64, 64) * 255
    deployed = deploy(model, (64, 64), raw=True, device=TARGETS[form].device)
    layers = tuple(name for name, module in deployed.named_modules() if isinstance(module, (nn.Conv2d, nn.Linear)))
    sizes = []
    for keep in (), layers[1:]:
        done = export(model, (64, 64), form, tmp_path / f'model{TARGETS[form].suffix}', raw=True, precision='int8',
                      calibration=Calibration(images, images, keep))
        sizes.append(sum(map(size_of, done.files)))
    assert done.agreement == 1 and sizes[1] > 2 * sizes[0]
