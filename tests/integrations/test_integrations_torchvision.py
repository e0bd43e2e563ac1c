"""MobileViTv3 in torchvision: get_model, feature extraction, its detectors; and the same outputs as our classifier."""
import importlib
import sys

import pytest
import torch

torchvision = pytest.importorskip('torchvision', reason='torchvision is not installed')

from test_integrations_timm import few_names  # noqa: E402
from torchvision.models import get_model, list_models  # noqa: E402
from torchvision.models._utils import IntermediateLayerGetter  # noqa: E402
from torchvision.models.feature_extraction import create_feature_extractor  # noqa: E402

import mvit3_bench.integrations.torchvision as ours  # noqa: E402
from mvit3_bench.checkpoints.io import write_checkpoint  # noqa: E402
from mvit3_bench.integrations.__main__ import main as other_commands  # noqa: E402
from mvit3_bench.integrations.network import NAMES  # noqa: E402


@few_names
def test_children(name):
    """They run one after the other, as Ultralytics needs it."""
    model, x = get_model(name, num_classes=4).double().eval(), torch.rand(1, 3, 64, 64).double()
    with torch.no_grad():
        assert torch.allclose(torch.nn.Sequential(*model.children())(x), model(x))


def test_names():
    assert set(list_models(include='mobilevitv3*')) == set(NAMES)


@few_names
def test_feature_extraction(name):
    """torchvision's two ways to take maps out."""
    model, x = get_model(name, num_classes=4).eval(), torch.rand(1, 3, 64, 64)
    model, x = model.double(), x.double()
    getter = IntermediateLayerGetter(model, {'layer3': 'low', 'layer5': 'high'})(x)
    traced = create_feature_extractor(model, ['layer3', 'layer5'])(x)
    for one, other, width in zip(getter.values(), traced.values(), model.arch.widths[2::2], strict=True):
        assert one.shape[1] == width and torch.allclose(one, other, atol=1e-6)


@few_names
def test_detector(name):
    """Faster R-CNN with a pyramid of our maps trains a step."""
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.backbone_utils import BackboneWithFPN
    model = get_model(name)
    layers = {f'layer{stage}': str(stage) for stage in (2, 3, 4, 5)}
    backbone = BackboneWithFPN(model, layers, list(model.arch.widths[1:]), 32)
    detector = FasterRCNN(backbone, 3, min_size=96, max_size=128, image_mean=[0.0] * 3, image_std=[1.0] * 3)
    targets = [dict(boxes=torch.tensor([[8.0, 8.0, 60.0, 50.0]]), labels=torch.tensor([1]))] * 2
    sum(detector([torch.rand(3, 96, 96)] * 2, targets).values()).backward()
    assert model.stem.conv.weight.grad.abs().sum() > 0


def test_impossible():
    """No weights come with it, and an unknown name is torchvision's error."""
    with pytest.raises(FileNotFoundError, match="weights='DEFAULT': there is no such file.*mvit3 convert"):
        get_model('mobilevitv3_s', weights='DEFAULT')
    with pytest.raises(ValueError, match='Unknown model'):
        get_model('mobilevitv3_xxl')


@pytest.mark.parametrize('arguments, message', [
    (dict(output_stride=4), 'output_stride=4'), (dict(drop_rate=2), 'between 0 and 1')])
def test_impossible_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        get_model('mobilevitv3_xxs', **arguments)


def test_weights(tmp_path):
    """A file has its number of classes; one for BGR is told, one of another arch refused."""
    file = tmp_path / 'x.pth'
    write_checkpoint(file, get_model('mobilevitv3_xxs', num_classes=6).state_dict(), {})
    with pytest.warns(UserWarning, match='trained on BGR images; .* --channel-order rgb'):
        assert get_model('mobilevitv3_xxs', weights=file).head.fc.out_features == 6
    with pytest.raises(RuntimeError, match='size mismatch for stem'):
        get_model('mobilevitv3_200', weights=file)


def test_registered_once(monkeypatch, recwarn):
    """A second import changes nothing; where torchvision has a model of that name, torchvision's stays, with a warning."""
    importlib.reload(ours)
    assert not [warning for warning in recwarn if 'mobilevitv3' in str(warning.message)]

    def theirs():
        return 'theirs'
    monkeypatch.setitem(torchvision.models._api.BUILTIN_MODELS, 'mobilevitv3_s', theirs)
    with pytest.warns(UserWarning, match='torchvision .* has a mobilevitv3_s of its own, which stays') as said:
        importlib.reload(ours)
    assert len(said) == 1 and get_model('mobilevitv3_s') == 'theirs'


def test_other_commands(tmp_path, monkeypatch, capsys):
    """Scripts and commands of others run with the arguments behind them; a word that is neither is named."""
    (tmp_path / 'script.py').write_text('import sys; print(__name__, sys.argv)')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'argv', ['us', 'script.py', '--flag'])
    other_commands()
    assert capsys.readouterr().out == "__main__ ['script.py', '--flag']\n"
    (tmp_path / 'sub').mkdir()
    (tmp_path / 'sub' / 'beside.py').write_text('print("found")')
    (tmp_path / 'sub' / 'script.py').write_text('import beside')
    monkeypatch.setattr(sys, 'path', [*sys.path])
    monkeypatch.setattr(sys, 'argv', ['us', 'sub/script.py'])
    other_commands()
    assert capsys.readouterr().out == 'found\n'
    monkeypatch.setattr(sys, 'argv', ['us', 'nowhere.py'])
    with pytest.raises(SystemExit, match='^error: nowhere.py does not exist$'):
        other_commands()
    monkeypatch.setattr(sys, 'argv', ['us', 'pytest', '--version'])
    with pytest.raises(SystemExit, match='^0$'):
        other_commands()
    assert f'pytest {pytest.__version__}' in ''.join(capsys.readouterr())
    monkeypatch.setattr(sys, 'argv', ['us', 'nothing'])
    with pytest.raises(SystemExit, match="'nothing' is no command of an installed package"):
        other_commands()
