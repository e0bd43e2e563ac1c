"""The backbones from outside: shapes of the maps, whatever the image, and which layers exist."""
import functools

import pytest
import torch
from backbones import build, build_meta, every_arch, every_type, image, run, sizes
from hypothesis import given, settings
from hypothesis import strategies as st

from mvit3_bench.models import ARCHS


@pytest.mark.parametrize('output_stride', [32, 16, 8])
@every_arch
def test_shapes(family, arch, output_stride):
    """The maps have the widths of ``out_channels`` and the size ceil(H / stride), whatever H."""
    model = build(family, arch, out_indices=range(5), output_stride=output_stride)
    strides = [min(stride, output_stride) for stride in (2, 4, 8, 16, 32)]
    for size in ((32, 64), (65, 97)):
        outs = run(model, *size)
        assert tuple(out.shape[1] for out in outs) == model.out_channels == ARCHS[family][arch].widths
        assert sizes(outs) == [tuple(-(-side // stride) for side in size) for stride in strides]


@every_arch
def test_odd_size_published(family, arch):
    """As published, the v2 type turns the 7x7 of a 224x224 image into 8x8, and the v1 type keeps it."""
    model = build(family, arch, out_indices=range(5), odd_size='published')
    last = 8 if ARCHS[family][arch].separable else 7
    assert sizes(run(model, 224, 224)) == [(s, s) for s in (112, 56, 28, 14, last)]


@pytest.mark.parametrize('family, arch', [('v2', '0.5'), ('v3', '0.5')])
def test_odd_size_published_in_every_stage(family, arch):
    """As published, layer3, layer4 and layer5 of the v2 type all return even sizes, and each goes on with its own."""
    model = build(family, arch, out_indices=range(5), odd_size='published')
    assert sizes(run(model, 72, 104)) == [(36, 52), (18, 26), (10, 14), (6, 8), (4, 4)]


built = functools.cache(build)
side = st.integers(32, 160)


@every_type
@settings(max_examples=12, deadline=None, derandomize=True)
@given(height=side, width=side, batch=st.integers(1, 3), output_stride=st.sampled_from([32, 16, 8]), train=st.booleans())
def test_any_size_and_batch(family, arch, height, width, batch, output_stride, train):
    """Whatever the image and the batch, in training and in evaluation, ceil(side / stride) and finite values."""
    model = built(family, arch, out_indices=(0, 1, 2, 3, 4), output_stride=output_stride)
    if train and batch == 1 and max(height, width) <= output_stride:
        batch = 2  # a single value a channel, see test_single_value_in_training
    with torch.no_grad():
        outs = model.train(train)(image(height, width, batch=batch))
    for out, stride, width_of_map in zip(outs, model.strides, model.out_channels, strict=True):
        assert out.shape == (batch, width_of_map, -(-height // stride), -(-width // stride))
        assert out.isfinite().all()


@every_type
@settings(max_examples=8, deadline=None, derandomize=True)
@given(height=st.integers(1, 31), width=st.integers(1, 31))
def test_below_32(family, arch, height, width):
    """Images smaller than the stride give maps of at least one pixel, of the same rule."""
    outs = run(built(family, arch, out_indices=(0, 1, 2, 3, 4)), height, width)
    assert sizes(outs) == [(-(-height // stride), -(-width // stride)) for stride in (2, 4, 8, 16, 32)]
    assert all(out.isfinite().all() for out in outs)


@every_type
@settings(max_examples=6, deadline=None, derandomize=True)
@given(height=side, width=side)
def test_images_of_a_batch_are_independent(family, arch, height, width):
    """In evaluation, an image's maps do not depend on which others are in its batch."""
    model = built(family, arch).eval()
    batch = image(height, width, batch=3)
    with torch.no_grad():
        together, alone = model(batch), model(batch[1:2])
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one[1:2], other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('channels', [1, 4])
@every_type
def test_in_channels(family, arch, channels):
    """The stem takes the number of channels it was built for."""
    outs = run(build(family, arch, in_channels=channels), 64, 64, channels=channels)
    assert sizes(outs) == [(16, 16), (8, 8), (4, 4), (2, 2)]


@every_type
def test_unused_layers_are_not_built(family, arch):
    """Layers beyond the last output do not exist, and the others are those of the whole model."""
    model, whole = build(family, arch, out_indices=(0, 2)), build_meta(family, arch)
    assert [name for name, _ in model.named_children()] == ['stem', 'layer1', 'layer2', 'layer3']
    assert 'expansion' not in dict(whole.named_children())
    weights = whole.state_dict()
    assert all(weights[key].shape == value.shape for key, value in model.state_dict().items())
    assert sizes(run(model, 64, 64)) == [(32, 32), (8, 8)]


@every_type
def test_negative_out_indices(family, arch):
    """Negative indices count from the end, which is the expansion in the v1 type and layer5 in the v2 type."""
    table = ARCHS[family][arch]
    widths = table.widths if table.separable else (*table.widths, table.expansion)
    model = build(family, arch, out_indices=(0, -2, -1))
    assert model.out_channels == (widths[0], *widths[-2:])
    assert tuple(out.shape[1] for out in run(model, 64, 64)) == model.out_channels


@pytest.mark.parametrize('output_stride, strides', [
    (32, (2, 4, 8, 16, 32, 32)), (16, (2, 4, 8, 16, 16, 16)), (8, (2, 4, 8, 8, 8, 8))])
def test_strides(output_stride, strides):
    """``strides`` are those of the maps, expansion included."""
    model = build('v3', 'xxs', out_indices=range(6), output_stride=output_stride)
    assert model.strides == strides
    assert [64 // side for side, _ in sizes(run(model, 64, 64))] == list(strides)
