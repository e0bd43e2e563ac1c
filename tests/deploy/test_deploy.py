"""The inference copy computes what the model computes, with nothing of training left in it."""
import copy
import json

import conftest
import pytest
import torch
from backbones import build, every_arch, every_type, image
from golden import worst
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._pytree import tree_leaves

from mvit3_bench.deploy import fuse
from mvit3_bench.models.forward import forward_tensor
from mvit3_bench.registry import MODELS


def lived_in(model: nn.Module) -> nn.Module:
    """A model whose batch norms have statistics and weights of their own."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model


def deviation(ours, expected) -> float:
    """The largest deviation of any output, in units of its standard deviation."""
    pairs = zip(tree_leaves(ours), tree_leaves(expected), strict=True)
    return worst(*(((one - other).abs().max() / other.std()).item() for one, other in pairs))


@every_arch
def test_backbones(family, arch):
    """Every arch, an odd size too, within 1e-10 in double precision; the model itself is left as it was."""
    model = lived_in(build(family, arch, out_indices=(1, -1))).double()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    fused = fuse(model)
    assert model.training and all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    model.eval()
    for size in ((64, 64), (65, 97)):
        with torch.no_grad():
            assert deviation(fused(image(*size).double()), model(image(*size).double())) < 1e-10


@every_type
@pytest.mark.parametrize('out_indices', [(0, 1, -1), (1, 2), (-1,)])
def test_chunks(family, arch, out_indices):
    """A batch that does not fit into the cache goes through the first layers in parts, the last one smaller."""
    model = lived_in(build(family, arch, out_indices=out_indices)).eval()
    fused = fuse(model)
    batches = []
    fused.stem[-1].register_forward_hook(lambda module, inputs, output: batches.append(len(output)))
    with torch.no_grad():
        assert deviation(fused(image(384, 512, batch=5)), model(image(384, 512, batch=5))) < 1e-4
        fused(image(32, 32, batch=5))
    assert len(batches) > 2 and sum(batches[:-1]) == batches[-1] == 5


@every_type
def test_nothing_of_training_is_left(family, arch):
    """No batch norm, dropout or gradient; activations work in place; the copy stays in evaluation mode."""
    fused = fuse(build(family, arch))
    kinds = {type(module) for module in fused.modules()}
    assert not any(issubclass(kind, (_BatchNorm, nn.Dropout)) for kind in kinds)
    assert not fused.training and not any(parameter.requires_grad for parameter in fused.parameters())
    assert all(module.inplace for module in fused.modules() if isinstance(module, nn.SiLU))


@pytest.mark.parametrize('path', [
    'cls/mvit3_xxs_in1k.py', 'cls/mvit3_0.5_in1k.py', 'det/ssdlite_mvit3_xxs_coco.py', 'det/ssdlite_mvit2_0.5_coco.py',
    'seg/deeplabv3_mvit3_xxs_camvid.py', 'seg/deeplabv3_mvit3_0.5_ade20k.py'])
def test_whole_models(path):
    """Classifiers, detectors and segmentors, heads included."""
    pytest.importorskip(dict(cls='mmpretrain', det='mmdet', seg='mmseg')[path[:3]])
    cfg = Config.fromfile(conftest.ROOT / 'configs' / path)
    init_default_scope(cfg.default_scope)
    model = lived_in(MODELS.build(cfg.model)).eval()
    fused = fuse(model)
    assert not any(isinstance(module, _BatchNorm) for name, module in fused.named_modules() if 'auxiliary' not in name)
    with torch.no_grad():
        expected = forward_tensor(model.double(), image(96, 96).double())
        assert deviation([x.double() for x in tree_leaves(forward_tensor(fused, image(96, 96)))], expected) < 1e-5


def test_other_backbones():
    """A stock model with a backbone of another library is folded as well."""
    pytest.importorskip('mmpretrain', reason='mmpretrain is not installed')
    init_default_scope('mmpretrain')
    model = lived_in(MODELS.build(dict(type='mmpretrain.MobileNetV2', widen_factor=0.5)))
    model.eval()
    fused = fuse(model)
    with torch.no_grad():
        assert deviation(fused(image()), model(image())) < 1e-4
    assert not any(isinstance(module, _BatchNorm) for module in fused.modules())


class SharedConv(nn.Module):
    """One convolution and a norm for each of two inputs, as some detection heads have it."""

    def __init__(self):
        super().__init__()
        self.stem = build('v3', 'xxs', out_indices=(0,))
        self.head = nn.ModuleDict(dict(conv=nn.Conv2d(16, 8, 1), first=nn.BatchNorm2d(8), second=nn.BatchNorm2d(8)))

    def forward(self, x):
        x, = self.stem(x)
        return self.head['first'](self.head['conv'](x)), self.head['second'](self.head['conv'](x))


def test_several_norms_stay():
    """A convolution with several norms keeps them."""
    model = lived_in(SharedConv())
    left = [name for name, module in fuse(model.eval()).named_modules() if isinstance(module, _BatchNorm)]
    assert left == ['head.first', 'head.second']


class Residual(nn.Module):
    """A convolution whose output goes into a norm and past it."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)

    def forward(self, x):
        x = self.conv(x)
        return self.norm(x) + x


def test_refused():
    """Where folding changes the outputs it is refused, and the layer is named."""
    with pytest.raises(ValueError, match='fusing changes the output of Residual'):
        fuse(lived_in(Residual()))


@pytest.mark.parametrize('name', ['test_efficientnet', 'test_resnet', 'test_byobnet', 'repvit_m0_9'])
def test_networks_of_timm(name):
    """Norms with an activation in them, and layers that run in another order than they stand, are folded as well."""
    timm = pytest.importorskip('timm')
    model = lived_in(timm.create_model(name))
    fused = fuse(model.eval())
    norms, left = (sum(isinstance(module, _BatchNorm) for module in each.modules()) for each in (model, fused))
    assert left < 0.25 * norms  # where branches are added before the norm, or the convolution stands in another module
    with torch.no_grad():
        assert deviation(fused(image()), model(image())) < 1e-4


@pytest.mark.parametrize('name', ['mobilevitv3_xxs', 'mobilevitv3_050'])
def test_maps_of_timm(name):
    """The form of timm's that gives maps of all layers gives the same ones, and one that gives logits the same."""
    timm = pytest.importorskip('timm')
    import mvit3_bench.integrations  # noqa: F401
    for options in (dict(features_only=True), {}):
        model = lived_in(timm.create_model(name, **options)).eval()
        with torch.no_grad():
            assert deviation(fuse(model)(image()), model(image())) < 1e-4


def test_modes_and_types_stay():
    """A layer that was frozen by hand stays so, and a model in half precision is folded in float32."""
    model = lived_in(build('v3', 'xxs')).train()
    model.layer1.eval()
    before = [module.training for module in model.modules()]
    fuse(model)
    assert [module.training for module in model.modules()] == before
    for dtype in (torch.float16, torch.bfloat16):
        assert {each.dtype for each in fuse(copy.deepcopy(model).to(dtype)).parameters()} == {dtype}


def test_tool(tool, trained, run_dir, monkeypatch):
    """``tools/test.py --deploy`` tests the fused copy, and gives the metrics of the model."""
    pytest.importorskip('mmpretrain', reason='mmpretrain is not installed')
    config = conftest.ROOT / 'configs' / 'cls' / 'mvit3_xxs_in1k.py'
    trained(config)
    metrics, fused = [], []
    monkeypatch.setattr('mvit3_bench.deploy.fuse', lambda model, size: fused.append(fuse(model, size)) or fused[-1])
    for flags in ([], ['--deploy']):
        outcome = tool('test', config, 'run', '--mini', '--work-dir', 'test', '--out', 'out', *flags)
        assert not outcome.code, outcome.output
        assert len(fused) == len(flags)
        metrics.append(json.loads((run_dir / 'out' / 'metrics.json').read_text()))
    plain, deployed = ({key: value for key, value in each.items() if 'time' not in key} for each in metrics)
    assert plain == pytest.approx(deployed, abs=1.3) and plain  # of 80 images one may lie on the edge


def test_nan_never_passes():
    """A model with NaN in its weights is refused: no comparison with NaN is one."""
    model = build('v3', 'xxs')
    next(model.parameters()).data[0] = torch.nan
    with pytest.raises(ValueError, match='not finite'):
        fuse(model)
