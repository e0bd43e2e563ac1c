"""``--backbone``: any backbone in the models of our configs; what cannot work is refused with the reason."""
import conftest
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS, init_default_scope

from mvit3_bench.errors import CheckpointError, UsageError
from mvit3_bench.mmlab import backbone_names
from mvit3_bench.mmlab.backbone_names import name_of, resolve, slug
from mvit3_bench.mmlab.backbone_swap import swap_backbone
from mvit3_bench.models.dilation import dilate
from mvit3_bench.models.forward import forward_tensor

timm = pytest.importorskip('timm')
CONFIGS = conftest.ROOT / 'configs'
MODEL_CONFIGS = dict(cls='cls/mvit3_s_in1k', det='det/ssdlite_mvit3_1.0_coco', deeplab='seg/deeplabv3_mvit3_s_voc2012',
                     psp='seg/pspnet_mvit3_1.0_ade20k')
# timm's own models for tests, of several families; a network of each kind of maps
NAMES = ['timm/test_efficientnet', 'timm/test_resnet', 'timm/test_convnext', 'timm/mobilenetv4_conv_small_050',
         'mmpretrain.MobileNetV2(widen_factor=0.25)', 'mmdet.ResNet(depth=18, base_channels=8)', 'mobilevitv3_xxs']


def config(kind: str) -> Config:
    """A config of a kind of model, on the scope of its framework."""
    cfg = Config.fromfile(CONFIGS / f'{MODEL_CONFIGS[kind]}.py')
    pytest.importorskip(cfg.default_scope)
    init_default_scope(cfg.default_scope)
    return cfg


def swapped(kind: str, name: str, size: int = 128) -> Config:
    """A config with another backbone."""
    cfg = config(kind)
    swap_backbone(cfg, name, (size, size))
    return cfg


@pytest.mark.parametrize('kind', MODEL_CONFIGS)
@pytest.mark.parametrize('name', NAMES)
def test_backbones_in_every_model(name, kind):
    """The model builds and runs, and its maps have the sizes that the recipe wants."""
    cfg = swapped(kind, name)
    model = MODELS.build(cfg.model).eval()
    with torch.no_grad():
        outputs = forward_tensor(model, torch.rand(1, 3, 128, 128))
        maps = model.backbone(torch.rand(1, 3, 128, 128))
    if kind == 'cls':
        assert outputs.shape == (1, 1000)
    elif kind == 'det':
        assert [each.shape[-1] for each in outputs[0]] == [8, 4, 2, 1, 1, 1]
    else:
        assert outputs.shape[-1] == maps[-1].shape[-1] == dict(deeplab=8, psp=16)[kind]
    assert slug(name_of(cfg.model.backbone)) == slug(name).replace('mobilevitv3', 'mvit3')


def test_names_of_parts():
    """A class names the same backbone as its name, and a part without one has no name."""
    from mvit3_bench.mmlab.timm_backbone import TimmBackbone
    assert name_of(ConfigDict(type=TimmBackbone, model_name='resnet18')) == 'timm/resnet18'
    assert name_of(ConfigDict(type='mvit3_bench.TimmBackbone', model_name='resnet18')) == 'timm/resnet18'
    assert name_of(ConfigDict(type='MobileViTv3', arch='s')) == 'mvit3_s' and name_of(ConfigDict()) == ''


@pytest.mark.parametrize('kind', ['ImageClassifier', 'mmpretrain.ImageClassifier'])
def test_scoped_classifier(kind):
    """A classifier is one by whatever name."""
    cfg = Config.fromfile(conftest.ROOT / 'configs/cls/mvit3_xxs_in1k.py')
    cfg.model.type = kind
    swap_backbone(cfg, 'mvit3_0.5', (256, 256))
    assert cfg.model.backbone.arch == '0.5'


def test_preprocessor_beside_the_model():
    """Stock configs of mmpretrain have it there."""
    cfg = config('cls')
    cfg.data_preprocessor = cfg.model.pop('data_preprocessor')
    swap_backbone(cfg, 'timm/test_resnet', (64, 64))
    assert cfg.data_preprocessor.std == swapped('cls', 'timm/test_resnet').model.data_preprocessor.std
    cfg.pop('data_preprocessor')
    with pytest.raises(UsageError, match='it has no data_preprocessor'):
        swap_backbone(cfg, 'timm/test_resnet', (64, 64))


def test_ours_gives_the_config_of_that_arch():
    """With an arch of ours, a config becomes that of the arch, preprocessing and widths included."""
    for kind, other in (('cls', 'cls/mvit3_xs_in1k'), ('deeplab', 'seg/deeplabv3_mvit3_xs_voc2012')):
        wanted, found = Config.fromfile(CONFIGS / f'{other}.py').model, swapped(kind, 'mobilevitv3_xs').model
        if kind == 'deeplab':
            assert found.decode_head.pop('in_index') == wanted.decode_head.pop('in_index') == 3
        found.backbone.pop('type'), wanted.backbone.pop('type')
        assert found == wanted
    assert swapped('det', 'mobilevitv3_xs').model.data_preprocessor.bgr_to_rgb is False  # the config is of the v2 type
    assert swapped('psp', 'mvit2_0.5').model.auxiliary_head.in_channels == 192


@pytest.mark.parametrize('kind', MODEL_CONFIGS)
def test_ours_after_another(kind):
    """Maps and pooling of another package's backbone go with it."""
    cfg = swapped(kind, 'timm/test_efficientnet')
    swap_backbone(cfg, 'mvit3_xxs', (128, 128))
    found, wanted = cfg.model, swapped(kind, 'mvit3_xxs').model
    assert len(found.backbone.out_indices) == len(MODELS.build(wanted.backbone).out_channels)
    for part in ('neck', 'decode_head', 'auxiliary_head', 'head'):
        assert found.get(part) == wanted.get(part)


def test_other_channels():
    """A config of images of four channels keeps them with another arch."""
    cfg = config('deeplab')
    cfg.model.backbone.in_channels = 4
    cfg.model.data_preprocessor.update(mean=[0.0] * 4, std=[255.0] * 4, bgr_to_rgb=False)
    swap_backbone(cfg, 'mvit3_0.5', (128, 128))
    assert cfg.model.backbone.in_channels == len(cfg.model.data_preprocessor.mean) == 4
    assert not cfg.model.data_preprocessor.bgr_to_rgb
    network = MODELS.build(cfg.model.backbone | dict(output_stride=32)).eval()
    dilate(network, 16, channels=4)
    assert network(torch.rand(1, 4, 64, 64))[-1].shape[-1] == 4


def test_fields_of_an_arch():
    """What the ablation changes can be named: it changes the arch, and stands in the name of the backbone."""
    name = 'mvit1_xxs(pointwise_fusion=True, fuse_local=True)'
    backbone = swapped('cls', name).model.backbone
    assert backbone.arch == dict(name='xxs', pointwise_fusion=True, fuse_local=True) and name_of(backbone) == name
    ablation = Config.fromfile(CONFIGS / 'ablation/step2_fuse_local_in1k.py').model.backbone
    assert name_of(ablation) == 'mvit1_s(pointwise_fusion=True, fuse_local=True)'
    assert resolve('mvit3_s(with_cp=True)').arguments == dict(arch='s', with_cp=True)


def test_preprocessing_is_that_of_the_weights():
    """Mean and standard deviation come from timm, in its order of channels; the names of the keys from the framework."""
    for kind, name, mean, order in (('cls', 'timm/mobilenetv4_conv_small', 123.675, 'to_rgb'),
                                    ('det', 'timm/mobilevitv2_050', 0, 'bgr_to_rgb')):
        found = swapped(kind, name).model.data_preprocessor
        assert found.mean[0] == pytest.approx(mean) and found[order] is True
        assert found.type.endswith('DataPreprocessor')


@pytest.mark.parametrize('kind, name, words', [
    ('psp', 'timm/vit_tiny_patch16_224', r'it takes no images of 128x128: .*224'),
    ('det', 'timm/vit_tiny_patch16_224', r'strides 16 and 32; of stride 32 there is none'),
    ('psp', 'timm/swin_tiny_patch4_window7_224(img_size=128)', r'128x144, which the recipe has besides'),
    ('psp', 'timm/swin_tiny_patch4_window7_224(strict_img_size=False)', r'stride 8, .* has stride 32, which dilation'),
    ('det', 'mmdet.HRNet(extra=1)', r'cannot be built: '),
    ('cls', 'mmpretrain.ResNet', r'cannot be built: TypeError: .*depth'),
    ('cls', 'timm/test_resnet(dept=3)', r'cannot be built: TypeError: .*dept'),
    ('cls', 'timm/test_resnet(3)', r"the arguments cannot be read: .* 'timm/test_resnet\(depth=18\)'")])
def test_refused_with_the_reason(kind, name, words):
    """What a backbone lacks is said, and the flag is named."""
    with pytest.raises(UsageError, match=words) as found:
        swapped(kind, name)
    assert found.value.where == '--backbone' and name in str(found.value)


def test_made_for_the_size_of_the_recipe():
    """A network of one size is built for the one of the recipe, if the recipe has no other."""
    assert swapped('det', 'timm/swin_tiny_patch4_window7_224').model.backbone.img_size == (128, 128)


def test_indices_are_those_of_timm():
    """A network whose first map timm calls 1, not 0, and whose last one has stride 64."""
    assert swapped('det', 'timm/csatv2').model.backbone.out_indices == (2, 3)


def test_strides_within_an_attention_stay():
    """A network keeps the smaller maps that its attention takes keys and values from."""
    network = timm.create_model('pvt_v2_b0', features_only=True)
    dilate(network, 8)
    strides = [layer.stride[0] for name, layer in network.named_modules() if name.endswith('.attn.sr')]
    assert strides == [8, 8, 4, 4, 2, 2]
    assert [layer.stride[0] for name, layer in network.named_modules() if name.endswith('downsample.proj')] == [2, 1, 1]


@pytest.mark.parametrize('name, near', [
    ('timm/repvit_m09', 'timm/repvit_m0_9'), ('repvit_m0_9', 'timm/repvit_m0_9'), ('mobilevitv3_xl', 'mobilevitv3_xs'),
    ('mmdet.Resnet', 'mmdet.ResNet'), ('mmfoo.ResNet', 'mmdet.ResNet'), ('ResNett', 'mmpretrain.ResNet')])
def test_unknown_name(name, near):
    """The nearest names are told."""
    with pytest.raises(UsageError, match=f'no backbone has this name; the nearest: .*{near}'):
        resolve(name)


def test_timm_missing(monkeypatch):
    """The line that installs it is told."""
    monkeypatch.setattr(backbone_names, 'find_spec', lambda name: None)
    with pytest.raises(UsageError, match='needs timm: pip install timm'):
        resolve('timm/test_resnet')


def test_other_configs_are_refused():
    """A model whose widths nobody here knows to set."""
    with pytest.raises(UsageError, match='not possible with .*linear head, and for our SSDLite'):
        swap_backbone(Config(dict(model=dict(type='RetinaNet', neck=dict(type='FPN')))), 'timm/test_resnet', (64, 64))


@pytest.mark.parametrize('name, output_stride', [('test_resnet', 8), ('resnet10t', 8), ('mobilenetv4_conv_small_050', 8),
                                                 ('test_convnext', 16)])
def test_dilation_keeps_the_values(name, output_stride):
    """The last map holds the values of the network without dilation, at every second or fourth pixel."""
    torch.manual_seed(0)
    network = timm.create_model(name, features_only=True).eval().double()
    image = torch.rand(1, 3, 512, 512, dtype=torch.double)
    with torch.no_grad():
        before = network(image)[-1]
        dilate(network, output_stride)
        after = network(image)[-1]
    step, inner = 32 // output_stride, slice(5, -5)  # of 16x16 pixels; the border sees other padding
    assert after.shape[-1] == step * before.shape[-1]
    difference = (after[..., ::step, ::step] - before)[..., inner, inner].abs().max()
    assert difference < 1e-9 * before.std()


@pytest.mark.parametrize('wrapped', [False, True])
def test_weights_from_a_file(tmp_path, wrapped):
    """A file of timm's weights fills backbones of maps and of classifiers; they compute what timm's model does."""
    torch.manual_seed(0)
    model = timm.create_model('test_efficientnet').eval()
    state_dict = model.state_dict()
    torch.save(dict(model_ema=state_dict) if wrapped else state_dict, tmp_path / 'x.pth')
    image = torch.rand(1, 3, 96, 96)
    for more in (dict(pooled=True), dict(out_indices=(3, 4))):
        torch.manual_seed(1)
        backbone = MODELS.build(dict(type='mvit3_bench.TimmBackbone', model_name='test_efficientnet', **more,
                                     init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'x.pth'))))
        backbone.init_weights()
        found = backbone.eval()(image)
        if 'pooled' in more:
            assert torch.equal(model.get_classifier()(found[0]), model(image))
        else:
            assert torch.equal(found[0], model.forward_intermediates(image, intermediates_only=True)[3])
    other = timm.create_model('test_resnet').state_dict()
    torch.save(other, tmp_path / 'x.pth')
    with pytest.raises(CheckpointError, match="no checkpoint of timm's test_efficientnet"):
        backbone.init_weights()


@pytest.mark.parametrize('name', ['timm/test_efficientnet', 'timm/test_convnext', "mmpretrain.MobileNetV3(arch='small')",
                                  'mvit3_xxs'])
def test_weights_of_a_classifier_trained_here(tmp_path, name):
    """Its checkpoint fills all tensors of a detector's backbone; timm's network of maps has other names for them."""
    classifier = MODELS.build(swapped('cls', name).model)
    torch.save(dict(meta={}, state_dict=classifier.state_dict()), tmp_path / 'x.pth')
    cfg = swapped('det', name)
    cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'x.pth'), prefix='backbone.')
    detector = MODELS.build(cfg.model)
    detector.init_weights()
    given = {key.replace('.', '_'): value for key, value in classifier.backbone.state_dict().items()}
    filled = detector.backbone.state_dict()
    assert len(filled) > 50 and all(torch.equal(given[key.replace('.', '_')], value) for key, value in filled.items())
    if name.startswith('timm'):
        cfg.model.backbone.init_cfg.prefix = 'neck.'
        with pytest.raises(CheckpointError, match='x.pth has no keys that begin with neck.'):
            MODELS.build(cfg.model.backbone).init_weights()


@pytest.mark.parametrize('first, then', [(True, False), (False, True), (False, False)])
def test_names_in_timms_networks(tmp_path, first, then):
    """Classifiers and networks of maps fill each other; timm wraps this one, and renames nothing in it."""
    networks = [MODELS.build(dict(type='mvit3_bench.TimmBackbone', model_name='test_vit', pooled=pooled,
                                  init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'x.pth'), prefix='backbone')))
                for pooled in (first, then)]
    torch.save({f'backbone.{key}': value for key, value in networks[0].state_dict().items()}, tmp_path / 'x.pth')
    networks[1].init_weights()
    weights = [next(value for key, value in network.state_dict().items() if key.endswith('blocks.1.mlp.fc1.weight'))
               for network in networks]
    assert torch.equal(*weights)


@pytest.mark.parametrize('part, kind, leaf', [
    ('cls_timm', None, dict(head=dict(in_channels=256), backbone=dict(model_name='test_efficientnet'))),
    ('ssdlite_timm', 'det', dict(neck=dict(in_channels=(48, 64)))),
    ('deeplabv3_timm', 'deeplab', dict(decode_head=dict(in_channels=64, num_classes=21))),
    ('pspnet_timm', None, dict(decode_head=dict(in_channels=64), auxiliary_head=dict(in_channels=48)))])
def test_parts_for_configs(part, kind, leaf, tmp_path):
    """A config of the parts in ``_base_`` builds, and is what ``--backbone`` makes of a config with the same head."""
    file = tmp_path / 'leaf.py'
    maps = dict(backbone=dict(model_name='test_efficientnet', out_indices=(3, 4)))
    file.write_text(f'_base_ = [{str(CONFIGS / "_base_/models" / part)!r} ".py"]\nmodel = {maps | leaf!r}\n')
    model = Config.fromfile(file).model
    scope = dict(cls='mmpretrain', ssd='mmdet').get(part[:3], 'mmseg')
    pytest.importorskip(scope)
    init_default_scope(scope)
    built = MODELS.build(model).eval()
    with torch.no_grad():
        assert all(each.isfinite().all() for each in torch.utils._pytree.tree_leaves(
            forward_tensor(built, torch.rand(1, 3, 128, 128))))
    if kind:
        wanted = swapped(kind, 'timm/test_efficientnet').model
        wanted.data_preprocessor.pop('size', None)  # the crop, which a leaf config has
        assert (model.backbone, model.data_preprocessor) == (wanted.backbone, wanted.data_preprocessor)
