"""The classifiers of our configs compute what the published implementation computes, on every golden model."""
import conftest
import golden
import pytest
import torch
from mmengine.config import Config
from test_parity_backbone import CLASSIFIERS, parse

from mvit3_bench.checkpoints import from_published
from mvit3_bench.registry import MODELS

pytest.importorskip('mmpretrain', reason='mmpretrain is not installed')


@pytest.mark.parametrize('name', CLASSIFIERS)
def test_logits(name, fidelity):
    """Logits are the published ones to 1e-4 of their std, after strict loading into the model of the config."""
    cls, arch, size = parse(name)
    cfg = Config.fromfile(conftest.ROOT / 'configs' / 'cls' / f'mvit{cls.family[-1]}_{arch}_in1k.py')
    model = MODELS.build(cfg.model | dict(_scope_=cfg.default_scope)).eval()
    model.load_state_dict(from_published(golden.state_dict(name), 'classification'), strict=True)
    with torch.no_grad():
        logits = model(golden.image(*size), mode='tensor')
    deviation = golden.deviation(name, 'logits', logits)
    assert deviation < 1e-4
    fidelity('network', 'imagenet_v2type' if arch[0].isdigit() else 'imagenet_v1type', measured=f'logits {deviation:.0e}')
