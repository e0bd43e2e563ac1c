"""SSDLite computes what the published implementation computes, from the image to the final detections."""
import golden
import numpy as np
import pytest
import torch
from conftest import ROOT
from mmengine.config import Config
from torch.testing import assert_close

from mvit3_bench.checkpoints import from_published, to_published
from mvit3_bench.models.archs import get_arch
from mvit3_bench.registry import MODELS

pytest.importorskip('mmdet', reason='mmdetection is not installed')

DETECTORS = golden.names('det_*')
META = dict(img_shape=(320, 320), pad_shape=(320, 320), scale_factor=(1.0, 1.0))
SIZES = [(20, 20), (10, 10), (5, 5), (3, 3), (2, 2), (1, 1)]


def build(name: str) -> torch.nn.Module:
    """The model of ``det_v3_1.0``, on our base config."""
    _, family, arch_name = name.split('_')
    arch = get_arch(family, arch_name)
    cfg = Config.fromfile(ROOT / 'configs/_base_/models' / f'ssdlite_{"v2" if arch.separable else "v1"}type.py').model
    cfg.backbone.update(type=f'mvit3_bench.MobileViT{family}', arch=arch_name)
    cfg.neck.in_channels = arch.widths[3:]
    return MODELS.build(cfg | dict(_scope_='mmdet'))


def flatten(maps: list[torch.Tensor], width: int) -> torch.Tensor:
    """Maps (B, A * width, H, W) -> (B, anchors, width)."""
    return torch.cat([m.permute(0, 2, 3, 1).reshape(len(m), -1, width) for m in maps], dim=1)


def unflatten(rows: torch.Tensor) -> list[torch.Tensor]:
    """The inverse of ``flatten`` at an input of 320x320."""
    anchors = [6, 6, 6, 6, 6, 4]
    parts = rows.split([h * w * a for (h, w), a in zip(SIZES, anchors, strict=True)], dim=1)
    return [part.reshape(len(rows), h, w, -1).permute(0, 3, 1, 2) for part, (h, w) in zip(parts, SIZES, strict=True)]


def assert_detections(found, name: str) -> None:
    """Our detections are the published ones: labels 1 .. 80 in ours 0 .. 79, boxes 0 .. 1 in ours in pixels."""
    with np.load(golden.GOLDEN / f'{name}.npz') as file:
        labels, scores, boxes = (torch.from_numpy(file[part]) for part in ('labels', 'scores', 'boxes'))
    assert torch.equal(found.labels + 1, labels)
    assert_close(found.scores.float(), scores, rtol=0, atol=1e-4)
    assert_close(found.bboxes.float() / 320, boxes, rtol=0, atol=1e-3)


@pytest.mark.parametrize('name', DETECTORS)
def test_raw_outputs_and_parameter_count(name, fidelity):
    """Strict loading, exact count, and logits, offsets and end points within 1e-4 of their std."""
    model = build(name).eval()
    model.load_state_dict(from_published(golden.state_dict(name), 'detection'), strict=True)
    assert sum(p.numel() for p in model.parameters()) == golden.parameter_counts()[name][0]
    with torch.no_grad():
        features = model.backbone(golden.image(320, 320))
        logits, offsets = model.bbox_head(model.neck(features))
    for level, feature in enumerate(features, start=4):
        assert golden.deviation(name, f'feat_out_l{level}', feature) < 1e-4, f'layer{level}'
    # background is the last class here, the first there
    assert golden.deviation(name, 'det_scores', flatten(logits, 81).roll(1, dims=-1)) < 1e-4
    deviation = golden.deviation(name, 'det_boxes', flatten(offsets, 4))
    assert deviation < 1e-4
    fidelity('network', 'coco_v2type' if '.' in name else 'coco_v1type', measured=f'logits and offsets {deviation:.0e}')


def test_anchors():
    """The anchors are the published ones, in centre form and 0 .. 1, to 1e-5."""
    anchors = torch.cat(build('det_v3_1.0').bbox_head.prior_generator.grid_priors(SIZES, device='cpu')) / 320
    centre_form = torch.cat([(anchors[:, :2] + anchors[:, 2:]) / 2, anchors[:, 2:] - anchors[:, :2]], dim=1)
    with np.load(golden.GOLDEN / 'detections_v3_1.0.npz') as file:
        assert_close(centre_form, torch.from_numpy(file['anchors']), rtol=0, atol=1e-5)


def test_detections():
    """The 200 detections of the first image, in their order.

    In double precision: two pairs of scores are within 5e-7, whose order in single depends on the number of threads.
    """
    model = build('det_v3_1.0').eval()
    model.load_state_dict(from_published(golden.state_dict('det_v3_1.0'), 'detection'), strict=True)
    with torch.no_grad():
        outputs = model.double().bbox_head(model.extract_feat(golden.image(320, 320).double()))
        found = model.bbox_head.predict_by_feat(*outputs, batch_img_metas=[META, META])
    assert_detections(found[0], 'detections_v3_1.0')


def test_postprocess():
    """From raw outputs to final detections."""
    with np.load(golden.GOLDEN / 'postprocess.npz') as file:
        rng = np.random.RandomState(int(file['seed']))
        logits = torch.from_numpy((rng.randn(1, 3232, 81) * file['scale']).astype(np.float32))
        offsets = torch.from_numpy(rng.randn(1, 3232, 4).astype(np.float32))
    found = build('det_v3_1.0').bbox_head.predict_by_feat(
        unflatten(logits.roll(-1, dims=-1)), unflatten(offsets), batch_img_metas=[META])
    assert_detections(found[0], 'postprocess')


@pytest.mark.parametrize('name', DETECTORS)
def test_round_trip(name):
    """published -> ours -> published is the identity, in the same order; the encoder loads on its own."""
    published = golden.state_dict(name)
    back = to_published(from_published(published, 'detection'), 'detection')
    assert list(back) == list(published)
    assert all(torch.equal(back[key], published[key]) for key in published)
    assert len(from_published(published, 'backbone')) == sum(key.startswith('encoder.') for key in published)
