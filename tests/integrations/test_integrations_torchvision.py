"""MobileViTv3 in torchvision: get_model, feature extraction, its detectors; and the same outputs as our classifier."""
import subprocess
import sys

import pytest
import torch

torchvision = pytest.importorskip('torchvision', reason='torchvision is not installed')

from test_integrations_timm import classifier, deviation, every_name, few_names  # noqa: E402
from torchvision.models import get_model, list_models  # noqa: E402
from torchvision.models._utils import IntermediateLayerGetter  # noqa: E402
from torchvision.models.feature_extraction import create_feature_extractor  # noqa: E402

import mvit3_bench.integrations.torchvision  # noqa: E402, F401
from mvit3_bench.integrations.network import NAMES  # noqa: E402


@every_name
def test_same_outputs(name):
    """The logits are those of our classifier with the same weights, and the children run one after the other."""
    model, reference = get_model(name).double().eval(), classifier(name)
    model.load_state_dict(reference.state_dict())
    x = torch.rand(2, 3, 96, 64).double()
    with torch.no_grad():
        assert deviation(model(x), reference(x)) < 1e-6
        assert deviation(torch.nn.Sequential(*model.children())(x), reference(x)) < 1e-6


def test_names():
    assert set(list_models(include='mobilevitv3*')) == set(NAMES)


@few_names
def test_feature_extraction(name):
    """torchvision's two ways to take maps out."""
    model, x = get_model(name, num_classes=4).eval(), torch.rand(1, 3, 64, 64)
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
    with pytest.raises(FileNotFoundError, match="weights='DEFAULT': there is no such file.* mvit3 convert"):
        get_model('mobilevitv3_s', weights='DEFAULT')
    with pytest.raises(ValueError, match='Unknown model'):
        get_model('mobilevitv3_xxl')


def test_only_on_request():
    """The package and its models import neither timm nor torchvision."""
    script = ('import sys, mvit3_bench, mvit3_bench.models\n'
              'assert not {"timm", "torchvision"} & set(sys.modules)\n'
              'import mvit3_bench.integrations\n'
              'assert {"timm", "torchvision"} <= set(sys.modules)')
    subprocess.run([sys.executable, '-c', script], check=True)


@pytest.mark.parametrize('word', ['script.py', 'nothing'])
def test_other_commands(tmp_path, word):
    """Scripts run with our names registered; a word that is no command is named."""
    (tmp_path / 'script.py').write_text("import sys, torchvision\nprint(sys.argv, torchvision.models.list_models('*v3_xxs*'))")
    found = subprocess.run([sys.executable, '-m', 'mvit3_bench.integrations', word, '--flag'], cwd=tmp_path,
                           capture_output=True, text=True)
    if word == 'script.py':
        assert found.stdout == "['script.py', '--flag'] ['mobilevitv3_xxs', 'mobilevitv3_xxs_l2']\n"
    else:
        assert found.returncode == 1 and "'nothing' is no command of an installed package" in found.stderr
