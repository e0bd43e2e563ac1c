"""What enters the network in a test, and what becomes of its logits, are the published ones.

The two pictures are drawn from a formula. Of each published tensor there are sampled values, the mean, the standard
deviation and the mean of each channel.
"""
import hashlib
import json

import cv2
import numpy as np
import pytest
import torch
from conftest import ROOT
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from PIL import Image
from torch.nn import functional as F

from mvit3_bench.registry import MODELS

pytest.importorskip('mmdet', reason='mmdetection is not installed')
pytest.importorskip('mmseg', reason='mmsegmentation is not installed')
pytest.importorskip('mmpretrain', reason='mmpretrain is not installed')

from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

DATA = ROOT / 'tests/data/training/preprocessing'
PUBLISHED = [np.load(DATA / f'published_{tree}.npz') for tree in ('v1', 'v2')]
NOTES = {key: note for tree in ('v1', 'v2')
         for key, note in json.loads((DATA / f'published_{tree}.json').read_text()).items()}
LEVEL = 1 / 255
PICTURES = {'a_500x375': (500, 375, 1), 'b_333x500': (333, 500, 2)}
CHECKSUMS = {
    'a_500x375': '801f04000cad7a4b2d61eeee6640769157b87d8ad6b76a8f9ad586e80e9a85e7',
    'b_333x500': 'c8e79e1cd10bb54775c3013be214552f5ce6aa70aa5ca1f037ef13766116c754'}
# the published tensor -> recipe, config
AS_FED = {
    'imagenet_v1type': ('imagenet_v1type', 'cls/mvit3_xxs_in1k'),
    'imagenet_v2type': ('imagenet_v2type', 'cls/mvit3_0.5_in1k'),
    'imagenet_384': ('imagenet_384', 'cls/mvit3_0.5_384_in1k'),
    'coco_v1type_train_val_and_eval_flag': ('coco_v1type', 'det/ssdlite_mvit3_xxs_coco'),
    'coco_v2type': ('coco_v2type', 'det/ssdlite_mvit3_0.5_coco'),
    'voc_v1type_eval_flag_as_fed_to_model': ('voc_v1type', 'seg/deeplabv3_mvit3_xxs_voc2012'),
    'voc_v2type_eval_flag_as_fed_to_model': ('voc_v2type', 'seg/deeplabv3_mvit3_0.5_voc2012'),
    'ade20k_eval_flag_as_fed_to_model': ('ade20k', 'seg/pspnet_mvit3_0.5_ade20k')}
# before the data preprocessor has resized it
AS_LOADED = {'voc_v1type_eval_flag': 'seg/deeplabv3_mvit3_xxs_voc2012',
             'voc_v2type_eval_flag': 'seg/deeplabv3_mvit3_0.5_voc2012',
             'ade20k_eval_flag': 'seg/pspnet_mvit3_0.5_ade20k'}
# not copied: squares in the validation during training, which the configs replace by the published test; and VOC of the v1
# type without the flag that its readme asks for
NOT_COPIED = {'voc_v1type_in_training_val', 'voc_v2type_in_training_val', 'ade20k_in_training_val',
              'voc_v1type_eval_noflag', 'voc_v1type_eval_noflag_as_fed_to_model'}


def draw(width: int, height: int, seed: int) -> np.ndarray:
    """A picture, (H, W, 3) RGB."""
    y, x = np.mgrid[:height, :width]
    channels = [np.round(255 * x / (width - 1)), np.round(255 * y / (height - 1)),
                np.round(127.5 * (1 + np.sin(2 * np.pi * (x / 97 + y / 61))))]
    noise = np.random.RandomState(seed).randint(-30, 31, (height, width, 3))
    return (np.stack(channels, axis=-1) + noise).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope='module', params=PICTURES)
def picture(request, tmp_path_factory):
    """A picture as a file, and a mask of its size beside it: name, path of the picture, path of the mask."""
    folder = tmp_path_factory.mktemp(request.param)
    pixels = draw(*PICTURES[request.param])
    assert hashlib.sha256(pixels.tobytes()).hexdigest() == CHECKSUMS[request.param]
    Image.fromarray(pixels).save(folder / 'picture.png')
    Image.fromarray(np.zeros(pixels.shape[:2], np.uint8)).save(folder / 'mask.png')
    return request.param, str(folder / 'picture.png'), str(folder / 'mask.png')


def loaded(config: str, path: str, mask: str) -> tuple[Config, dict]:
    """A config, and what its test pipeline makes of a picture."""
    cfg = Config.fromfile(ROOT / 'configs' / f'{config}.py')
    init_default_scope(cfg.default_scope)
    pipeline = Compose(cfg.test_dataloader.dataset.pipeline)
    return cfg, pipeline(dict(img_path=path, img_id=0, seg_map_path=mask, reduce_zero_label=False, label_map=None,
                              seg_fields=[], instances=[], gt_label=0))


def fed(config: str, path: str, mask: str) -> torch.Tensor:
    """The tensor that the network of a config gets of a picture, (3, H, W)."""
    cfg, data = loaded(config, path, mask)
    preprocessor = MODELS.build(cfg.model.data_preprocessor | dict(_scope_=cfg.default_scope))
    return preprocessor(pseudo_collate([data]), training=False)['inputs'][0]


def published(name: str) -> dict:
    """The entries of a published tensor; one that the notes call the same is that of the same name without its ending."""
    if NOTES.get(name) == 'same':
        name = name.replace('_as_fed_to_model', '')
    file, = [file for file in PUBLISHED if f'{name}/shape' in file]
    return {key: file[f'{name}/{key}'] for key in ('shape', 'index', 'value', 'mean_std', 'channel_mean')}


def deviation(tensor: torch.Tensor, name: str) -> tuple[float, float]:
    """The largest difference of a sampled value, and of a mean or standard deviation; the shape must be the
    published one.
    """
    expected, found = published(name), tensor.double().numpy()
    assert list(found.shape) == expected['shape'].tolist()
    means = np.r_[found.mean(), found.std(), found.mean(axis=(1, 2))] - np.r_[expected['mean_std'], expected['channel_mean']]
    return np.abs(found.ravel()[expected['index']] - expected['value']).max(), np.abs(means).max()


def test_every_published_tensor_is_compared():
    """The names in the files, those of the notes too, are the names in the tables of this module."""
    names = {key.split('/')[0] for file in PUBLISHED for key in file}
    names |= {key.split('/')[0] for key, note in NOTES.items() if not key.endswith('/transforms')}
    assert names == {*AS_FED, *AS_LOADED, *NOT_COPIED}
    assert {key.split('/')[1] for file in PUBLISHED for key in file} == set(PICTURES)


@pytest.mark.parametrize('name', AS_FED)
def test_tensor_that_enters_the_network(name, picture, fidelity):
    """Of each recipe's own test pipeline and data preprocessor: size, pixels, means; noted to the level of grey."""
    recipe, config = AS_FED[name]
    picture, path, mask = picture
    pixels, means = deviation(fed(config, path, mask), f'{name}/{picture}')
    assert pixels <= LEVEL and means <= 1e-3
    # of PNGs, with the versions of OpenCV and Pillow here, there is nothing but rounding
    assert pixels < 2e-6 and means < 2e-6
    note = NOTES[f'{name}/{picture}']
    if note != 'same':
        tensor = fed(config, path, mask).double()
        assert [tensor.mean(), tensor.std(correction=0)] == pytest.approx([note['mean'], note['std']], abs=2e-6)
        assert list(tensor.shape) == note['shape']
    fidelity('test preprocessing', recipe, measured=f'{pixels:.1e} of pixels in 0 .. 1')


@pytest.mark.parametrize('name', AS_LOADED)
def test_tensor_before_it_is_resized_to_the_stride(name, picture):
    """Of the segmentation's test pipelines alone."""
    picture, path, mask = picture
    cfg, data = loaded(AS_LOADED[name], path, mask)
    image = data['inputs'].flip(0) if cfg.model.data_preprocessor.bgr_to_rgb else data['inputs']
    pixels, means = deviation(image / 255, f'{name}/{picture}')
    assert pixels < 2e-6 and means < 2e-6


@pytest.mark.parametrize('name', AS_FED)
def test_pspnet_and_deeplabv3_are_tested_alike(name):
    """Configs of a recipe share pipeline and preprocessor: one stands for all."""
    _, config = AS_FED[name]
    folder, _, dataset = config.partition('/')[0], *config.rpartition('_')[1:]
    kind = Config.fromfile(ROOT / 'configs' / f'{config}.py')
    others = [Config.fromfile(path) for path in sorted((ROOT / 'configs' / folder).glob(f'*_{dataset}.py'))
              if ('384' in path.stem) == ('384' in config)]
    same = [cfg for cfg in others if cfg.model.data_preprocessor == kind.model.data_preprocessor]
    assert len(same) >= 3 and all(cfg.test_dataloader.dataset == kind.test_dataloader.dataset for cfg in same)


@pytest.mark.parametrize('name', sorted(NOT_COPIED))
def test_what_is_not_copied(name, picture, fidelity):
    """The documented steps give the published tensors; how far the tensors of the configs are from them."""
    picture, path, _ = picture
    if name.startswith('voc_v1type'):
        image = cv2.imread(path, cv2.IMREAD_COLOR)
        image = cv2.resize(image, (512, 512), interpolation=cv2.INTER_LINEAR) if 'training' in name else image
    else:
        image = np.asarray(Image.open(path).resize((512, 512), Image.Resampling.BICUBIC))
    tensor = torch.from_numpy(image.copy()).permute(2, 0, 1)[None] / 255
    if name.endswith('_as_fed_to_model'):
        size = [side // 16 * 16 for side in tensor.shape[2:]]
        tensor = F.interpolate(tensor, size, mode='bilinear', align_corners=False)
    pixels, means = deviation(tensor[0], f'{name}/{picture}')
    assert pixels < 2e-6 and means < 2e-6
    recipe = next(recipe for recipe, _ in AS_FED.values() if name.startswith(recipe))
    own = published(next(f'{known}/{picture}' for known, (of, _) in AS_FED.items() if of == recipe))['shape']
    if recipe != 'voc_v1type':  # which are squares in both
        assert list(own) != list(tensor[0].shape)
        fidelity('best checkpoint', recipe, differs='squares',
                 measured=f'an image of {own[2]}x{own[1]} where the published validation has '
                          f'{tensor.shape[3]}x{tensor.shape[2]}')


def segmentor(name: str) -> torch.nn.Module:
    cfg = Config.fromfile(ROOT / 'configs' / 'seg' / f'{name}.py')
    cfg.model.backbone.init_cfg = None
    torch.manual_seed(0)
    return MODELS.build(cfg.model | dict(_scope_='mmseg')).eval()


def sample(height: int, width: int, **meta) -> SegDataSample:
    found = SegDataSample(metainfo=dict(ori_shape=(height, width), img_shape=(128, 166), **meta))
    found.gt_sem_seg = PixelData(data=torch.zeros(1, height, width, dtype=torch.long))
    return found


@pytest.fixture(scope='module', params=[
    'deeplabv3_mvit3_xxs_voc2012', 'deeplabv3_mvit3_0.5_voc2012', 'pspnet_mvit3_0.5_ade20k'])
def tested(request):
    """A config's name and its model."""
    return request.param, segmentor(request.param)


@torch.no_grad()
def test_mask_from_logits(tested, fidelity):
    """Logits at the head's stride come to the size of each image once; of the v1 type by the nearest pixel."""
    name, model = tested
    inputs = torch.rand(2, 3, 128, 160, generator=torch.Generator().manual_seed(1))
    samples = model.predict(inputs, [sample(97, 131), sample(211, 173)])
    low = model.decode_head(model.extract_feat(inputs))
    assert low.shape[2:] == ((16, 20) if name.endswith('ade20k') else (8, 10))
    differ = 0
    for found, own in zip(samples, low, strict=True):
        size = found.ori_shape
        if '_xxs_' in name:
            large = F.interpolate(own[None], scale_factor=16, mode='bilinear', align_corners=False)
            rows, columns = (torch.arange(side) * full // side for side, full in zip(size, large.shape[2:], strict=True))
            expected = large[0][:, rows][:, :, columns]
        else:
            expected = F.interpolate(own[None], size, mode='bilinear', align_corners=True)[0]
        torch.testing.assert_close(found.seg_logits.data, expected, rtol=0, atol=1e-6)
        differ += (found.pred_sem_seg.data[0] != expected.argmax(0)).sum().item()
    assert differ == 0
    recipe = 'ade20k' if name.endswith('ade20k') else 'voc_v1type' if '_xxs_' in name else 'voc_v2type'
    fidelity('test preprocessing', recipe, measured=f'{differ} labels differ')


@torch.no_grad()
def test_prediction_without_samples(tested):
    """Where nothing says how large the image was, it is as large as the input."""
    _, model = tested
    inputs = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    found, = model.predict(inputs)
    expected, = model.predict(inputs, [sample(64, 96)])
    torch.testing.assert_close(found.seg_logits.data, expected.seg_logits.data)


@torch.no_grad()
def test_flip_windows_and_padding(tested):
    """A flipped image is flipped back; windows and padded images are predicted as mmsegmentation does."""
    from mmseg.models import EncoderDecoder
    _, model = tested
    inputs = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    plain, = model.predict(inputs, [sample(64, 96)])
    flipped, = model.predict(inputs, [sample(64, 96, flip=True, flip_direction='horizontal')])
    torch.testing.assert_close(flipped.seg_logits.data, plain.seg_logits.data.flip(2))
    padded = dict(img_padding_size=[0, 32, 0, 0])
    expected, = EncoderDecoder.predict(model, inputs, [sample(64, 64, **padded)])
    found, = model.predict(inputs, [sample(64, 64, **padded)])
    assert torch.equal(found.seg_logits.data, expected.seg_logits.data) and found.seg_logits.shape == (64, 64)
    before = model.test_cfg
    model.test_cfg = type(before)(mode='slide', crop_size=(64, 64), stride=(32, 32))
    expected, = EncoderDecoder.predict(model, inputs, [sample(50, 60)])
    found, = model.predict(inputs, [sample(50, 60)])
    model.test_cfg = before
    assert torch.equal(found.seg_logits.data, expected.seg_logits.data) and found.seg_logits.shape == (50, 60)


def test_settings_that_are_refused():
    """An unknown way to resize, and a padding beside a divisor, are named."""
    cfg = Config.fromfile(ROOT / 'configs/seg/deeplabv3_mvit3_xxs_voc2012.py').model
    with pytest.raises(ValueError, match="test_cfg.resize='cubic'.*'bilinear', 'nearest'"):
        MODELS.build(cfg | dict(_scope_='mmseg', test_cfg=dict(mode='whole', resize='cubic')))
    with pytest.raises(ValueError, match='test_cfg, which pads'):
        MODELS.build(dict(type='mvit3_bench.SegDataPreProcessor', _scope_='mmseg', test_divisor=8,
                          test_cfg=dict(size_divisor=8)))


@pytest.mark.parametrize('side, expected', [(5, 16), (16, 16), (31, 16), (682, 672)])
def test_multiples_of_the_stride(side, expected):
    """An image that is smaller than the stride becomes as large; training is not touched."""
    preprocessor = MODELS.build(dict(type='mvit3_bench.SegDataPreProcessor', _scope_='mmseg', test_divisor=16,
                                     size=(32, side)))
    image = torch.full((3, 32, side), 7, dtype=torch.uint8)
    assert preprocessor(dict(inputs=[image]))['inputs'].shape == (1, 3, 32, expected)
    data = dict(inputs=[image], data_samples=[sample(32, side)])
    assert preprocessor(data, training=True)['inputs'].shape == (1, 3, 32, side)
