"""Initialisation and dropout: how the published models start, and what they leave out in training."""
import csv
import json

import conftest
import golden
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from mvit3_bench.checkpoints import to_published
from mvit3_bench.paper.fidelity import RECIPES as CONFIG_OF
from mvit3_bench.registry import MODELS

TRAINING = golden.DATA / 'training'
# table of one published draw -> config, recipe, task
DRAWS = {
    'cls_v3_xxs': ('cls/mvit3_xxs_in1k', 'imagenet_v1type', 'classification'),
    'cls_v3_0.5': ('cls/mvit3_0.5_in1k', 'imagenet_v2type', 'classification'),
    'det_v3_xxs': ('det/ssdlite_mvit3_xxs_coco', 'coco_v1type', 'detection'),
    'det_v3_0.5': ('det/ssdlite_mvit3_0.5_coco', 'coco_v2type', 'detection'),
    'seg_deeplabv3_v3_xxs_voc': ('seg/deeplabv3_mvit3_xxs_voc2012', 'voc_v1type', 'segmentation'),
    'seg_pspnet_v3_0.5_voc': ('seg/pspnet_mvit3_0.5_voc2012', 'voc_v2type', 'segmentation'),
    'seg_deeplabv3_v3_0.5_ade20k': ('seg/deeplabv3_mvit3_0.5_ade20k', 'ade20k', 'segmentation'),
}
# trace of ten steps, which names the dropouts it has set to zero -> config, recipe
DROPOUTS = {
    'cls_v3_xxs_hard': ('cls/mvit3_xxs_in1k', 'imagenet_v1type'),
    'cls_v3_0.5_hard': ('cls/mvit3_0.5_in1k', 'imagenet_v2type'),
    'det_v3_xxs_det': ('det/ssdlite_mvit3_xxs_coco', 'coco_v1type'),
    'det_v3_0.5_det': ('det/ssdlite_mvit3_0.5_coco', 'coco_v2type'),
    'seg_deeplabv3_v3_xxs_voc_seg': ('seg/deeplabv3_mvit3_xxs_voc2012', 'voc_v1type'),
    'seg_deeplabv3_v3_0.5_ade20k_seg': ('seg/deeplabv3_mvit3_0.5_ade20k', 'ade20k'),
}


def build(name: str) -> nn.Module:
    cfg = Config.fromfile(conftest.ROOT / 'configs' / f'{name}.py')
    init_default_scope(cfg.default_scope)
    torch.manual_seed(0)
    return MODELS.build(cfg.model)


def is_uniform(std: float, largest: float) -> bool:
    """Whether a draw of 256 or more is uniform: its largest is 1.73 standard deviations, a normal one's 2.8 or so."""
    return largest < 2 * std


@pytest.mark.parametrize('name', DRAWS)
def test_initialisation(name, fidelity):
    """Every tensor is drawn from the published distribution: same kind, mean and deviation, within sampling error."""
    path, recipe, task = DRAWS[name]
    with open(TRAINING / 'init' / f'{name}.csv') as file:
        rows = {row['name']: row for row in csv.DictReader(file)}
    model = build(path)
    model.init_weights()
    ours = to_published(model.state_dict(), task)
    assert set(rows) == {to for to, value in ours.items() if 'running' not in to and 'num_batches' not in to}
    scores, wrong = [], []
    for key, row in rows.items():
        value, (mean, std, largest) = ours[key].double(), (float(row[part]) for part in ('mean', 'std', 'max_abs'))
        count = value.numel()
        if std == 0:
            wrong += [key] if value.std(correction=0) != 0 or value.mean() != mean else []
            continue
        # in standard errors of the difference of two draws; those of the standard deviation are a normal's at most
        scores.append(float(value.std() / std - 1) * count**0.5)
        drift = float(value.mean() - mean) / std * (count / 2)**0.5
        wrong += [key] if abs(scores[-1]) > 5 or abs(drift) > 5 else []
        if count >= 256:
            wrong += [key] if is_uniform(value.std(), value.abs().max()) != is_uniform(std, largest) else []
    assert not wrong
    assert abs(np.mean(scores)) < 5 / len(scores)**0.5  # no tendency over all tensors, however small each is
    fidelity('initialisation', recipe, measured=f'{len(wrong)} of {len(rows)} tensors differ')


@pytest.mark.parametrize('name', DROPOUTS)
def test_dropout(name, fidelity):
    """Each published dropout has ours: in the transformers by its place, in the heads by its probability."""
    path, recipe = DROPOUTS[name]
    published = json.loads((TRAINING / 'steps' / f'{name}.json').read_text())['dropouts_set_to_zero']
    model = build(path)
    layers = {key: layer for key, layer in model.named_modules()
              if isinstance(layer, (nn.Dropout, nn.Dropout2d)) and layer.p}
    transformers = {key: layer for key, layer in layers.items() if key.startswith('backbone.')}
    # ours follows attention and feed-forward network both: layer_3.1.global_rep.0.pre_norm_mha.2 -> layer3.1.transformer.0
    places = {}
    for key, rate in published.items():
        if 'global_rep' in key:
            stage, place = key.split('.global_rep.')
            number, layer = stage.partition('layer_')[2].partition('.')[0], place.partition('.')[0]
            places.setdefault(f'backbone.layer{number}.1.transformer.{layer}.dropout', []).append(rate)
    assert {key: [layer.p] * 2 for key, layer in transformers.items()} == places
    heads = sorted(rate for key, rate in published.items() if 'global_rep' not in key)
    assert sorted(layer.p for key, layer in layers.items() if key not in transformers) == heads
    fidelity('dropout', recipe, measured=f'{len(published)} of {len(published)} equal')


@pytest.mark.parametrize('recipe', [recipe for recipe in CONFIG_OF if not recipe.startswith('imagenet')])
def test_initial_weights(recipe, fidelity):
    """Detectors and segmentors start from random weights unless a backbone's are named; VOC2012 has no images of COCO."""
    cfg = Config.fromfile(conftest.ROOT / 'configs' / CONFIG_OF[recipe])
    assert cfg.load_from is None and 'checkpoint' not in (cfg.model.backbone.get('init_cfg') or {})
    fidelity('initialisation', recipe, differs='start', measured='random, published those of the backbone on ImageNet')
    if recipe.startswith('voc'):
        assert 'coco' not in str(cfg.train_dataloader.dataset).lower()
        fidelity('augmentation', recipe, differs='start', measured='images of VOC2012 alone, published also of COCO')


@pytest.mark.parametrize('path, kinds, recipe', [
    ('cls/mvit3_s_in1k', dict(head={nn.Dropout: 1}), 'imagenet_v1type'),
    ('seg/deeplabv3_mvit3_s_voc2012', dict(decode_head={nn.Dropout: 1, nn.Dropout2d: 1}), 'voc_v1type'),
    ('seg/deeplabv3_mvit3_1.0_voc2012', dict(decode_head={nn.Dropout2d: 1}, auxiliary_head={nn.Dropout2d: 1}), 'voc_v2type'),
    ('seg/pspnet_mvit3_1.0_voc2012', dict(decode_head={nn.Dropout2d: 1}, auxiliary_head={nn.Dropout2d: 1}), 'voc_v2type'),
    ('seg/deeplabv3_mvit3_1.0_ade20k', dict(decode_head={nn.Dropout2d: 1}, auxiliary_head={nn.Dropout2d: 1}), 'ade20k')])
def test_kinds_of_dropout(path, kinds, recipe, fidelity):
    """Element-wise or channel-wise, each with probability 0.1."""
    model = build(path)
    for head, expected in kinds.items():
        found = [layer for layer in getattr(model, head).modules()
                 if isinstance(layer, (nn.Dropout, nn.Dropout2d)) and layer.p]
        assert {kind: sum(type(layer) is kind for layer in found) for kind in expected} == expected
        assert len(found) == sum(expected.values()) and {layer.p for layer in found} == {0.1}
    fidelity('dropout', recipe, measured='kinds of the heads equal')


def test_both_dropouts_act():
    """The head of the v1-type DeepLabv3 drops elements and then channels of what the classifier sees."""
    head = build('seg/deeplabv3_mvit3_s_voc2012').decode_head.train()
    seen = []
    head.conv_seg.register_forward_hook(lambda layer, args, out: seen.append(args[0]))
    features = [None, None, None, torch.rand(8, head.in_channels, 16, 16)]
    head(features)
    zeros = (seen[0] == 0).float()
    dropped = zeros.mean((2, 3)) == 1  # channels
    assert 0.05 < dropped.float().mean() < 0.2
    active = zeros.mean((2, 3))[~dropped]
    head.eval()
    head(features)
    assert 0.08 < (active.mean() - (seen[1] == 0).float().mean()) / (1 - (seen[1] == 0).float().mean()) < 0.12
