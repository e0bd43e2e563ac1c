"""Maps show what the block really computes."""
from argparse import Namespace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from test_demo import flags, pictures

from mvit3_bench.models import MobileViTv3

pytest.importorskip('mmcv', reason="the extra 'openmmlab' is not installed")


def test_received_attention():
    """The weights that torch's attention applies, each in the place of its pixel."""
    from mvit3_bench.visualization.attention_maps import received
    torch.manual_seed(0)
    block = MobileViTv3('xxs').layer3[1].eval()
    layer, grid = block.transformer[0], (4, 6)
    features = torch.randn(1, block.proj.conv.in_channels, 8, 12)
    tokens = []
    layer.attn.register_forward_pre_hook(lambda module, args: tokens.append(args[0]))
    with torch.no_grad():
        block.attend(features)
        found = received(layer.attn, tokens[0], *grid)
        query, key, _ = layer.attn.project(tokens[0])
        one_hot = torch.eye(24).expand(4, 4, 24, 24)
        expected = F.scaled_dot_product_attention(query, key, one_hot).mean(-2) * 24  # (4, heads, N)
    assert found.shape == (4, 8, 12)
    for position, (row, col) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
        torch.testing.assert_close(found[:, row::2, col::2].flatten(1), expected[position])


@pytest.mark.parametrize('task, layer, heads, depth', [
    ('classification', 'layer3', 4, 2), ('detection', 'backbone.layer5.1', 4, 3), ('segmentation', 'layer4', 1, 4)])
def test_maps_of_a_model(run_dir, weights, task, layer, heads, depth):
    """Features and attention of the v1 and the v2 type; attention is 1 on average over each sub-grid."""
    from mvit3_bench.apis import predict
    from mvit3_bench.visualization import attention_maps as maps
    config, checkpoint = map(str, weights[task])
    args = Namespace(mini=True, backbone=None, cfg_options=None, device='cpu', score_thr=0.3)
    _, predictor = predict.load(args, config, checkpoint)
    file = pictures(task)[0]
    found = maps.collect(predictor, predictor.prepare(predictor.read(file), file), layer)
    assert list(found.features) == ['input', 'local', 'global', 'output']
    shape = found.features['output'].shape
    assert all(map_.shape == shape for map_ in found.features.values())
    assert len(found.attention) == depth
    for attention in found.attention:
        assert attention.shape[0] == heads
        for row in (0, 1):
            for col in (0, 1):
                torch.testing.assert_close(attention[:, row::2, col::2].mean((1, 2)), torch.ones(heads))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in predictor.model.modules())
    picture = maps.draw(found)
    assert picture.shape[2] == 3 and picture.shape[0] > 300


def test_demo_draws_maps(run_dir, tool, weights):
    file = pictures('classification')[0]
    outcome = tool('demo', file, *flags(weights, 'classification'), '--maps', 'layer5')
    assert outcome.code == 0, outcome.output
    assert Path('outputs', f'{file.name}_maps.png').stat().st_size > 10_000


def test_unknown_block(run_dir, tool, weights):
    outcome = tool('demo', pictures('classification')[0], *flags(weights, 'classification'), '--maps', 'layer2')
    assert outcome.code == 1 and 'Traceback' not in outcome.output
    assert "no MobileViT block 'layer2' in this model; there are: backbone.layer3.1, backbone.layer4.1" in outcome.output
