"""A wrong argument or image is refused, with its name, its value and what is allowed."""
import pytest
import torch
from backbones import build, build_meta, every_type, image
from torch import nn

from mvit3_bench.models import ARCHS


@pytest.mark.parametrize('family, arch', [
    ('v3', 'xl'), ('v1', 'xl'), ('v1', 'xxs_l2'), ('v1', '0.5'), ('v1', 1.0), ('v2', 's'), ('v2', 'xxs'), ('v3', 2.5),
    ('v3', 0), ('v3', -1.0), ('v2', 'nan'), ('v3', True), ('v3', None), ('v3', '')])
def test_unknown_arch(family, arch):
    """An arch that is unknown or of another family is refused, with its name and every known one."""
    with pytest.raises(ValueError, match='arch') as error:
        build_meta(family, arch)
    message = str(error.value)
    assert repr(arch) in message and f'MobileViT{family}' in message
    assert all(name in message for name in ARCHS[family])


@pytest.mark.parametrize('arch', [dict(name='xl'), dict(depths=(1, 1, 1))], ids=['unknown', 'missing'])
def test_dict_without_a_known_name(arch):
    """A dict whose name is unknown or missing is refused like a name."""
    with pytest.raises(ValueError, match='unknown arch.*xxs'):
        build_meta('v3', arch)


def test_unknown_field_of_arch():
    """A dict with a field that does not exist is refused, with the field and every known one."""
    with pytest.raises(ValueError, match=r'arch has no field.*\bdepht\b.*\bdepths\b.*\binput_residual\b'):
        build_meta('v3', dict(name='xxs', depht=(1, 1, 1)))


@pytest.mark.parametrize('family, name, value, wrong, allowed', [
    ('v3', 'out_indices', (1, 6), 6, range(-6, 6)),
    ('v3', 'out_indices', (-7,), -7, range(-6, 6)),
    ('v2', 'out_indices', (5,), 5, range(-5, 5)),
    ('v3', 'output_stride', 4, 4, (8, 16, 32)),
    ('v3', 'output_stride', 64, 64, (8, 16, 32)),
    ('v3', 'output_stride', '16', '16', (8, 16, 32)),
    ('v3', 'odd_size', 'crop', 'crop', ('keep', 'published')),
    ('v1', 'odd_size', None, None, ('keep', 'published')),
    ('v3', 'frozen_stages', -2, -2, range(-1, 7)),
    ('v3', 'frozen_stages', 7, 7, range(-1, 7)),
    ('v2', 'frozen_stages', 6, 6, range(-1, 6))])
def test_impossible_value(family, name, value, wrong, allowed):
    """The message names the argument, the value and what is allowed."""
    with pytest.raises(ValueError, match=name) as error:
        build_meta(family, '0.5' if family == 'v2' else 'xxs', **{name: value})
    head, _, tail = str(error.value).partition('; allowed: ')
    assert f'{name}={wrong!r}' in head
    assert sorted(tail.split(', ')) == sorted(map(repr, allowed))


@pytest.mark.parametrize('value', [(2, 1), (1, 1), (-1, 0), (4, -2), ()], ids=str)
def test_out_indices_out_of_order(value):
    """Outputs named twice, in another order or not at all are refused, with the value and the rule."""
    with pytest.raises(ValueError, match='at least one output, each once, in ascending order') as error:
        build_meta('v3', 'xxs', out_indices=value)
    assert f'out_indices={value!r}' in str(error.value)


@pytest.mark.parametrize('family, name, value, allowed', [
    ('v3', 'in_channels', 0, 'whole numbers from 1'),
    ('v3', 'in_channels', 2.5, 'whole numbers from 1'),
    ('v2', 'in_channels', 'x', 'whole numbers from 1'),
    ('v3', 'out_indices', 3, 'a tuple'),
    ('v3', 'drop_rate', 'a', '0 <= drop_rate < 1'),
    ('v3', 'norm_eval', 'x', 'False, True'),
    ('v1', 'with_cp', None, 'False, True'),
    ('v3', 'init_cfg', 'x', 'a dict'),
    ('v3', 'drop_rate', 1.5, '0 <= drop_rate < 1'),
    ('v2', 'attn_drop_rate', -0.1, '0 <= attn_drop_rate < 1'),
    ('v3', 'act_cfg', None, "dict(type='ReLU')"),
    ('v3', 'act_cfg', dict(type='Swishh'), 'build_activation_layer'),
    ('v1', 'norm_cfg', None, 'build_norm_layer'),
    ('v2', 'norm_cfg', dict(type='BNN'), 'build_norm_layer'),
    ('v3', 'norm_cfg', dict(type='BN', epsilon=1e-3), 'build_norm_layer'),
    ('v3', 'norm_cfg', dict(type='GN', num_groups=7), 'for a layer of 16 channels')])
def test_impossible_config_or_number(family, name, value, allowed):
    """The message names the argument, the value and what is allowed, whichever library refuses it."""
    with pytest.raises(ValueError, match=name) as error:
        build_meta(family, '0.5' if family == 'v2' else 'xxs', **{name: value})
    assert f'{name}={value!r} is not possible' in str(error.value) and allowed in str(error.value)


@pytest.mark.parametrize('family, arch, allowed', [
    ('v3', dict(name='1.0', pointwise_fusion=False), 'pointwise_fusion=False .* in the v2 type; allowed: True'),
    ('v2', dict(name='1.0', depthwise_local=False), 'depthwise_local=False .* in the v2 type; allowed: True'),
    ('v3', dict(name='s', widths=(32, 64)), r'widths=\(32, 64\) .*; allowed: 5 positive numbers'),
    ('v3', dict(name='s', depths=(2, 0, 3)), r'depths=\(2, 0, 3\) .*; allowed: 3 positive numbers'),
    ('v1', dict(name='s', dims=(144, 190, 240)), r'dims=\(144, 190, 240\) .*; allowed: multiples of the 4 heads')], ids=str)
def test_fields_that_make_no_network(family, arch, allowed):
    """A dict whose fields do not fit together is refused; nothing in it is ignored."""
    with pytest.raises(ValueError, match=allowed):
        build_meta(family, arch)


@every_type
def test_unknown_argument(family, arch):
    """An argument that does not exist raises instead of being swallowed."""
    with pytest.raises(TypeError, match='out_indexes'):
        build_meta(family, arch, out_indexes=(1,))


@pytest.mark.parametrize('built, given', [(3, 1), (3, 4), (1, 3)])
def test_image_of_other_channels(built, given):
    """An image with an alpha channel, or a grey one, in a backbone of another number of channels."""
    with pytest.raises(ValueError, match=f'the image has {given} channels, but the backbone in_channels={built}'):
        build('v3', 'xxs', in_channels=built)(image(channels=given))


@every_type
def test_single_value_in_training(family, arch):
    """One image whose last map is 1x1 cannot train batch norms: the message has the fixes, and they are some."""
    one = image(32, 32, batch=1)
    with pytest.raises(ValueError, match='one image of 32x32 .* norm_eval=True'):
        build(family, arch)(one)
    for fix, x in ((dict(), image(32, 32)), (dict(), image(33, 32, batch=1)), (dict(norm_eval=True), one),
                      (dict(norm_cfg=dict(type='GN', num_groups=8)), one), (dict(frozen_stages=5), one),
                      (dict(output_stride=16), one), (dict(out_indices=(0, 1)), one)):
        assert all(out.isfinite().all() for out in build(family, arch, **fix)(x))
    assert isinstance(build(family, arch).stem.norm, nn.BatchNorm2d)
    with torch.no_grad():
        assert build(family, arch).eval()(one)[-1].shape[-2:] == (1, 1)
