"""MobileViTv3 in timm: what timm's own tests ask of a model, on all our names; and the same outputs as our classifier."""
import importlib
import sys

import pytest
import torch

timm = pytest.importorskip('timm', reason='timm is not installed')

import mvit3_bench.integrations.timm as ours  # noqa: E402
from mvit3_bench.checkpoints.io import write_checkpoint  # noqa: E402
from mvit3_bench.integrations.network import NAMES  # noqa: E402
from mvit3_bench.models import Classifier  # noqa: E402

FEW = ('mobilevitv3_xxs', 'mobilevitv3_050')
few_names = pytest.mark.parametrize('name', FEW)


def classifier(name, **kwargs):
    """Our classifier of a name, with statistics that differ from those of an untrained one."""
    torch.manual_seed(0)
    model = Classifier('v3', NAMES[name], **kwargs)
    for key, value in model.state_dict().items():
        if key.endswith('running_mean'):
            value.normal_(std=0.1)
        elif key.endswith('running_var'):
            value.uniform_(0.5, 1.5)
    return model.eval()


def deviation(one, other) -> float:
    return ((one - other).abs().max() / other.std()).item()


def test_names():
    """All of the paper's, and the wider ones; timm's own v1 and v2 stay timm's."""
    assert set(timm.list_models('mobilevitv3*')) == set(NAMES)
    assert {'mobilevitv3_xxs', 'mobilevitv3_s_l2', 'mobilevitv3_050', 'mobilevitv3_100', 'mobilevitv3_200'} <= set(NAMES)
    assert timm.models.model_entrypoint('mobilevit_s').__module__.startswith('timm.')
    assert timm.models.model_entrypoint('mobilevitv2_100').__module__.startswith('timm.')


@few_names
def test_classifier(name):
    """Number of classes, features without a head, the head alone, resetting."""
    model, x = timm.create_model(name, num_classes=7, drop_rate=0.3).eval(), torch.rand(2, 3, 64, 64)
    assert model(x).shape == (2, 7) and model.num_classes == 7 and model.head.drop.p == 0.3
    features = model.forward_features(x)
    assert features.shape == (2, model.num_features, 2, 2)
    assert torch.equal(model.forward_head(features), model(x))
    assert model.forward_head(features, pre_logits=True).shape == (2, model.head_hidden_size)
    assert model.get_classifier().out_features == 7
    model.reset_classifier(0)
    assert model(x).shape == (2, model.num_features)
    model.reset_classifier(0, '')
    assert model(x).shape == features.shape
    model.reset_classifier(5, 'max')
    assert model(x).shape == (2, 5)


@few_names
@pytest.mark.parametrize('stride', [32, 16, 8])
def test_features_only(name, stride):
    """Channels and reductions are what feature_info says, at each output stride; a part of them builds fewer layers."""
    model = timm.create_model(name, features_only=True, output_stride=stride).eval()
    maps = model(torch.rand(1, 3, 64, 96))
    assert [out.shape[1] for out in maps] == model.feature_info.channels()
    reductions = [min(each, stride) for each in (2, 4, 8, 16, 32)]
    assert model.feature_info.reduction() == reductions
    assert [tuple(out.shape[2:]) for out in maps] == [(64 // each, 96 // each) for each in reductions]
    part = timm.create_model(name, features_only=True, out_indices=(1, 2), output_stride=stride)
    assert part.feature_info.channels() == model.feature_info.channels()[1:3]
    assert not any('layer4' in key for key in part.state_dict())


@few_names
def test_intermediates(name):
    """Indices from the end, an order of one's own, and nothing run behind the last."""
    model, x = timm.create_model(name).eval(), torch.rand(1, 3, 64, 64)
    ran = []
    model.layer5.register_forward_hook(lambda *_: ran.append(1))
    three, two = model.forward_intermediates(x, indices=[2, 1], intermediates_only=True)
    assert (three.shape[1], two.shape[1]) == model.arch.widths[2:0:-1] and not ran
    last, (map_,) = model.forward_intermediates(x, indices=1)
    assert torch.equal(last, model.forward_features(x)) and map_.shape[1] == model.arch.widths[-1]


@few_names
def test_pruned(name):
    """What is left of a network without its last layers gives the map of the last one; with its head, all stays."""
    whole, x = timm.create_model(name).eval(), torch.rand(1, 3, 64, 64)
    expected, (map_,) = whole(x), whole.forward_intermediates(x, indices=[2], intermediates_only=True)
    assert whole.prune_intermediate_layers(1, prune_head=False) == [4] and torch.equal(whole(x), expected)
    assert whole.prune_intermediate_layers([2]) == [2] and torch.equal(whole(x), map_)
    assert (whole.strides, whole.out_channels) == ((8,), (map_.shape[1],))
    cut = timm.create_model(name, features_only=True, out_indices=(0, 1)).train()
    assert cut(torch.rand(1, 3, 32, 32))[-1].shape[-1] == 8  # of which a batch norm has several values, though an image


@few_names
@pytest.mark.parametrize('pool', ['avg', 'catavgmax', ''])
def test_hidden_size(name, pool):
    """The width of what the linear layer is given."""
    model = timm.create_model(name, num_classes=0, global_pool=pool).eval()
    assert model.forward_head(torch.rand(1, model.num_features, 2, 2), pre_logits=True).shape[1] == model.head_hidden_size


@few_names
def test_traced(name):
    """torch.fx and torch.jit trace it; timm cuts its features out of the graph of the former."""
    model, x = timm.create_model(name, num_classes=3).double().eval(), torch.rand(1, 3, 64, 64).double()
    with torch.no_grad():
        for traced in (torch.fx.symbolic_trace(model), torch.jit.trace(model, x)):
            assert torch.allclose(traced(x), model(x))
        maps = timm.models.create_feature_extractor(model, ['layer3', 'layer5'])(x).values()
        for one, other in zip(maps, model.forward_maps(x, (2, 4)), strict=True):
            assert torch.allclose(one, other)


@few_names
def test_training(name):
    """A backward pass reaches all parameters, with activations recomputed too; groups and decay as timm asks."""
    model = timm.create_model(name, num_classes=3, in_chans=5, drop_rate=0.0)
    model.set_grad_checkpointing()
    model(torch.rand(2, 5, 64, 64)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    for coarse in (False, True):
        groups = timm.models.group_parameters(model, model.group_matcher(coarse=coarse))
        assert sum(map(len, groups.values())) == len(list(model.parameters()))
    from timm.optim import create_optimizer_v2
    assert len(create_optimizer_v2(model, 'adamw', weight_decay=0.05, layer_decay=0.7).param_groups) > 4


@few_names
def test_config(name):
    """Preprocessing of the published evaluation: pixels / 255, short side 288, crop 256."""
    config = timm.data.resolve_model_data_config(timm.create_model(name))
    assert (config['mean'], config['std'], config['input_size']) == ((0, 0, 0), (1, 1, 1), (3, 256, 256))
    transform = timm.data.create_transform(**config)
    assert next(part.size for part in transform.transforms if type(part).__name__ == 'Resize') in (288, [288], (288,))
    assert config['interpolation'] == ('bicubic' if name == 'mobilevitv3_050' else 'bilinear')
    default, tensors = timm.get_pretrained_cfg(name), timm.create_model(name).state_dict()
    assert f'{default.first_conv}.weight' in tensors and f'{default.classifier}.weight' in tensors
    with torch.device('meta'):
        assert all(parameter.is_meta for parameter in timm.create_model(name).parameters())
    assert next(timm.create_model(name, device='meta', dtype=torch.float16).parameters()).dtype is torch.float16


@few_names
def test_weights_from_file(tmp_path, name):
    """A converted file loads by checkpoint_path and as pretrained weights, for other channels and classes too."""
    reference, x = classifier(name), torch.rand(1, 3, 64, 64)
    file = str(tmp_path / 'x.pth')
    write_checkpoint(file, reference.state_dict(), dict(model=NAMES[name]))
    with torch.no_grad():
        wanted = reference(x)
        assert deviation(timm.create_model(name, checkpoint_path=file).eval()(x), wanted) < 1e-5
        overlay = dict(pretrained=True, pretrained_cfg_overlay=dict(file=file))
        assert deviation(timm.create_model(name, **overlay).eval()(x), wanted) < 1e-5
        maps = timm.create_model(name, features_only=True, **overlay).eval()(x)
        assert deviation(maps[-1], reference.backbone.forward_maps(x, [4])[0]) < 1e-5
    fewer = timm.create_model(name, num_classes=3, in_chans=1, **overlay)
    assert torch.allclose(fewer.stem.conv.weight, reference.backbone.stem.conv.weight.sum(1, keepdim=True), atol=1e-6)
    assert fewer.head.fc.out_features == 3


@pytest.mark.parametrize('kwargs, message', [
    (dict(output_stride=4), 'output_stride=4'), (dict(features_only=True, out_indices=(7,)), 'feature index 7')])
def test_impossible(kwargs, message):
    with pytest.raises((ValueError, AssertionError), match=message):
        timm.create_model('mobilevitv3_xxs', **kwargs)


def test_unknown_name():
    with pytest.raises(RuntimeError, match='Unknown model'):
        timm.create_model('mobilevitv3_xxl')


def test_weights_of_another_arch(tmp_path):
    """They are refused, tensor by tensor."""
    write_checkpoint(tmp_path / 'x.pth', classifier('mobilevitv3_050').state_dict())
    with pytest.raises(RuntimeError, match='layer3'):
        timm.create_model('mobilevitv3_xxs', checkpoint_path=str(tmp_path / 'x.pth'))


def test_registered_once(monkeypatch, recwarn):
    """A second import changes nothing; where timm has a model of that name, timm's stays, with a warning."""
    importlib.reload(ours)
    assert not [warning for warning in recwarn if 'mobilevitv3' in str(warning.message)]

    def theirs(pretrained=False, **kwargs):
        return 'theirs'
    monkeypatch.setitem(timm.models._registry._model_entrypoints, 'mobilevitv3_s', theirs)
    with pytest.warns(UserWarning, match='timm .* has a mobilevitv3_s of its own, which stays') as said:
        importlib.reload(ours)
    assert len(said) == 1 and timm.models.model_entrypoint('mobilevitv3_s') is theirs


def test_not_installed(monkeypatch):
    """The line that installs it."""
    monkeypatch.setitem(sys.modules, 'timm', None)
    monkeypatch.delitem(sys.modules, ours.__name__)
    with pytest.raises(ImportError, match=r"needs timm 1.0 or newer: pip install 'timm>=1.0'"):
        importlib.import_module(ours.__name__)


def test_too_old(monkeypatch):
    """A timm without what ours builds on keeps nobody from the names in torchvision."""
    monkeypatch.delattr(timm.models._features, 'feature_take_indices')
    monkeypatch.delitem(sys.modules, ours.__name__)
    with pytest.warns(UserWarning, match='timm does not get our names: .*needs timm 1.0'):
        importlib.reload(importlib.import_module('mvit3_bench.integrations'))
