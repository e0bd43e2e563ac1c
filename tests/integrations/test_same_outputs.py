"""The same weights on the same picture: the same outputs in OpenMMLab, timm, torchvision and torch.hub, for every arch."""
import conftest
import pytest
import torch
from test_integrations_timm import classifier, deviation

timm = pytest.importorskip('timm', reason='timm is not installed')
pytest.importorskip('mmpretrain', reason='mmpretrain is not installed')

from mmengine.registry import MODELS, init_default_scope  # noqa: E402
from torchvision.models import get_model  # noqa: E402

import mvit3_bench.integrations  # noqa: E402, F401
from mvit3_bench.checkpoints.io import write_checkpoint  # noqa: E402
from mvit3_bench.converters import to_rgb  # noqa: E402
from mvit3_bench.integrations.network import NAMES  # noqa: E402
from mvit3_bench.models.archs import get_arch  # noqa: E402

PAPER = [name for name, arch in NAMES.items() if not arch[0].isdigit() or float(arch) <= 1]


def openmmlab_classifier(arch: str):
    """The classifier as our configs have it, with its preprocessor."""
    init_default_scope('mmpretrain')
    found = get_arch('v3', arch)
    return MODELS.build(dict(
        type='ImageClassifier',
        data_preprocessor=dict(type='ClsDataPreprocessor', mean=[0] * 3, std=[255] * 3, to_rgb=found.channel_order == 'rgb'),
        backbone=dict(type='mvit3_bench.MobileViTv3', arch=arch, out_indices=range(5 + bool(found.expansion)),
                      odd_size='published'),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', num_classes=10, in_channels=found.expansion or found.widths[-1]))).double().eval()


@torch.no_grad()
@pytest.mark.parametrize('name', [
    *PAPER, *(pytest.param(name, marks=pytest.mark.slow) for name in NAMES if name not in PAPER)])
def test_same_outputs(tmp_path, name):
    """Logits and the maps of layer1 to layer5 agree to 1e-6 of their standard deviation."""
    arch = NAMES[name]
    weights = classifier(name, num_classes=10).state_dict()
    reference = openmmlab_classifier(arch)
    reference.load_state_dict(weights)
    picture = torch.randint(256, (2, 3, 96, 64), dtype=torch.uint8)  # BGR, as OpenMMLab reads it
    inputs = reference.data_preprocessor(dict(inputs=picture))['inputs'].double()
    expected = [*reference.backbone(inputs)[:5], reference(inputs, mode='tensor')]

    bgr = get_arch('v3', arch).channel_order == 'bgr'
    weights = to_rgb(weights) if bgr else weights
    write_checkpoint(tmp_path / 'x.pth', weights, dict(channel_order='rgb'))
    file, rgb = str(tmp_path / 'x.pth'), picture.flip(1).double() / 255
    for model in (timm.create_model(name, num_classes=10, checkpoint_path=file), get_model(name, weights=file),
                  torch.hub.load(str(conftest.ROOT), name, source='local', weights=file)):
        model.double().eval()
        found = [*model.forward_maps(rgb, range(5)), model(rgb)]
        for one, other in zip(found, expected, strict=True):
            assert one.shape == other.shape and deviation(one, other) < 1e-6
