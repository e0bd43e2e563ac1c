"""DeepLabv3 and PSPNet compute what the published implementation computes, on every golden segmentation model."""
import golden
import pytest
import torch
from conftest import ROOT
from mmengine.config import Config

from mvit3_bench.checkpoints import from_published
from mvit3_bench.registry import MODELS

pytest.importorskip('mmseg', reason='mmsegmentation is not installed')

SEGMENTORS = golden.names('seg_*')


def build(name: str) -> torch.nn.Module:
    """The model of ``seg_deeplabv3_v3_1.0_ade20k``: its config's."""
    _, head, family, arch, dataset = name.split('_')
    path = ROOT / f'configs/seg/{head}_mvit{family[1:]}_{arch}_{dataset.replace("voc", "voc2012")}.py'
    return MODELS.build(Config.fromfile(path).model | dict(_scope_='mmseg'))


@pytest.mark.parametrize('name', SEGMENTORS)
def test_logits_and_parameter_count(name, fidelity):
    """Strict loading, exact count, and logits and end points within 1e-4 of their std."""
    model = build(name).eval()
    model.load_state_dict(from_published(golden.state_dict(name), 'segmentation'), strict=True)
    every, without_auxiliary = golden.parameter_counts()[name]
    assert sum(p.numel() for p in model.parameters()) == every
    assert sum(p.numel() for key, p in model.named_parameters() if not key.startswith('auxiliary')) == without_auxiliary

    image = golden.image(512, 512)
    meta = dict(img_shape=(512, 512), pad_shape=(512, 512))
    with torch.no_grad():
        features = model.extract_feat(image)
        logits = model.decode_head.predict(features, [meta, meta], {})
    deviation = golden.deviation(name, 'seg', logits)
    assert deviation < 1e-4
    recipe = 'ade20k' if name.endswith('ade20k') else 'voc_v2type' if '.' in name else 'voc_v1type'
    fidelity('network', recipe, measured=f'logits {deviation:.0e}')
    for level, feature in enumerate(features, start=2):  # the backbone's default outputs start at layer2
        assert golden.deviation(name, f'feat_out_l{level}', feature) < 1e-4, f'layer{level}'


def test_backbone_of_a_segmentor():
    """Task 'backbone' takes the encoder out of a published segmentor."""
    published = golden.state_dict(SEGMENTORS[0])
    ours = from_published(published, 'backbone')
    assert len(ours) == sum(key.startswith('encoder.') for key in published)


@pytest.mark.parametrize('key', ['encoder.layer_9.block.weight', 'seg_head.unknown.weight', 'optimizer'])
def test_left_over_tensors_are_refused(key):
    """A tensor without a place is named, not dropped."""
    published = golden.state_dict(SEGMENTORS[0]) | {key: torch.zeros(1)}
    with pytest.raises(ValueError, match=key):
        from_published(published, 'segmentation')


def test_unknown_task():
    """An unknown task lists the known ones."""
    with pytest.raises(ValueError, match='segmentation'):
        from_published({}, 'pose')
