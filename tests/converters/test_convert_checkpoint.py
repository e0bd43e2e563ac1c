"""tools/convert_checkpoint.py: every published checkpoint is identified and converts; anything else is refused."""
import errno
from dataclasses import replace

import conftest
import golden
import numpy as np
import pytest
import torch
from mmengine.config import Config
from test_parity_backbone import parse

from mvit3_bench.checkpoints import from_published
from mvit3_bench.checkpoints.io import check_fits, read_file, write_checkpoint
from mvit3_bench.converters.compare import differences
from mvit3_bench.converters.extract import extract_state_dict
from mvit3_bench.converters.identify import MODELS as NAMES
from mvit3_bench.converters.identify import backbone_tensors
from mvit3_bench.errors import CheckpointError, WriteError
from mvit3_bench.mmlab.configs import Match, match_configs, meta_of
from mvit3_bench.registry import MODELS

for framework in ('mmseg', 'mmpretrain', 'mmdet'):
    pytest.importorskip(framework, reason=f'{framework} is not installed')

ALL = golden.names('cls_*') + golden.names('det_*') + golden.names('seg_*')

WRAPPERS = {
    '': lambda tensors: tensors,
    # of MMEngine, which swaps them on saving
    'state_dict': lambda tensors: dict(state_dict=tensors, optimizer=dict(state={}), ema_state_dict={
        'steps': torch.zeros(1), **{f'module.{key}': value for key, value in other(tensors).items()}}),
    # of AveragedModel
    'model_ema': lambda tensors: dict(model=other(tensors), model_ema={
        'n_averaged': torch.tensor(3), **{f'module.{key}': value for key, value in tensors.items()}}),
    'ema.shadow': lambda tensors: dict(model=other(tensors), ema=dict(decay=0.99, shadow=tensors)),
    'ema.module': lambda tensors: dict(model=other(tensors), ema=dict(updates=3, module=tensors)),
    'model': lambda tensors: dict(model={f'_orig_mod.{key}': value for key, value in tensors.items()}, ema=dict(decay=0.99)),
    'model_state_dict': lambda tensors: dict(
        epoch=3, model_state_dict=tensors, optim_state_dict={}, best_metric=0.5, ema=dict(updates=torch.tensor(3))),
    'ema': lambda tensors: dict(model=other(tensors), ema=tensors, ema_decay=0.99),
    'ema.model_state_dict': lambda tensors: dict(model_state_dict=other(tensors), ema=dict(model_state_dict=tensors, n=1)),
    'state_dict_ema': lambda tensors: dict(state_dict=other(tensors), state_dict_ema=tensors),
    'ema_state_dict': lambda tensors: dict(state_dict=other(tensors), ema_state_dict=tensors)}


def other(tensors):
    """The raw weights, where the averaged ones are wanted."""
    return {key: value + 1 for key, value in tensors.items()}


def expected(name):
    """``seg_deeplabv3_v3_1.0_ade20k`` -> model, task, head, number of classes, config."""
    kind, *parts = name.split('_')
    if kind == 'cls':
        cls, arch, _ = parse(name)
        model = f'mvit{cls.family[1]}_{arch}'
        return model, 'classification', '', 1000, f'configs/cls/{model}_in1k.py'
    if kind == 'det':
        family, arch = parts
        model = f'mvit{family[1]}_{arch}'
        return model, 'detection', 'ssdlite', 80, f'configs/det/ssdlite_{model}_coco.py'
    head, family, arch, dataset = parts
    model = f'mvit{family[1]}_{arch}'
    dataset, classes = dict(voc=('voc2012', 21), ade20k=('ade20k', 150))[dataset]
    return model, 'segmentation', head, classes, f'configs/seg/{head}_{model}_{dataset}.py'


@pytest.mark.parametrize('name', ALL)
def test_recognised(name):
    """Names, model, task, head, classes and config, from keys and shapes, in whatever order the keys come."""
    tensors = golden.state_dict(name)
    found = match_configs(dict(reversed(tensors.items())))
    model, task, head, classes, config = expected(name)
    assert (found.names, found.model, found.task, found.head, found.num_classes) == ('published', model, task, head, classes)
    assert config == found.configs[0] and not found.left_out

    backbone = match_configs(tensors, task='backbone')
    assert (backbone.model, backbone.task, backbone.configs) == (model, 'backbone', ())
    assert len(tensors) - len(backbone.left_out) == len(from_published(tensors, 'backbone'))


@pytest.mark.parametrize('module', ['', 'module.'])
@pytest.mark.parametrize('entry', WRAPPERS)
def test_wrappers(entry, module):
    """The tensors are found wherever they are, averaged ones before raw ones."""
    tensors = golden.state_dict('cls_v3_xxs')
    found, where = extract_state_dict(WRAPPERS[entry]({module + key: value for key, value in tensors.items()}))
    assert where == entry and list(found) == list(tensors)
    assert all(found[key] is tensors[key] for key in tensors)


def test_every_model_has_shapes_of_its_own():
    """No two models of the papers can be mistaken for each other."""
    for index, model in enumerate(NAMES):
        assert not any(not differences(backbone_tensors(model), backbone_tensors(other)) for other in NAMES[:index])


@pytest.mark.parametrize('name', ALL)
def test_there_and_back(tmp_path, tool, name):
    """What is written loads strictly into the model of the config that is named, and --reverse gives the same file again."""
    torch.save(dict(model_state_dict=golden.state_dict(name), epoch=1), tmp_path / 'published.pt')
    outcome = tool('convert_checkpoint', tmp_path / 'published.pt', tmp_path / 'new' / 'ours.pth')
    assert outcome.code in (0, None), outcome.output
    model, task, head, classes, config = expected(name)
    count = len(golden.state_dict(name))
    for said in (f'{model}, {task}', f'{classes} classes', config, head, f'{count} of {count}', 'model_state_dict'):
        assert said in outcome.output

    cfg = Config.fromfile(conftest.ROOT / config)
    check_fits(MODELS.build(cfg.model | dict(_scope_=cfg.default_scope)), tmp_path / 'new' / 'ours.pth')
    meta = read_file(tmp_path / 'new' / 'ours.pth')['meta']
    assert (meta['model'], meta['task'], meta['configs'][0]) == (model, task, config)
    assert len(meta['dataset_meta']['classes']) == classes

    outcome = tool('convert_checkpoint', tmp_path / 'new' / 'ours.pth', tmp_path / 'back.pt', '--reverse')
    assert outcome.code in (0, None), outcome.output
    back, published = read_file(tmp_path / 'back.pt'), golden.state_dict(name)
    assert list(back) == list(published)
    assert all(torch.equal(back[key], published[key]) for key in published)


@pytest.mark.parametrize('source', ['published', 'ours'])
def test_backbone(tmp_path, tool, source):
    """--task backbone takes it out of anything, says what it leaves, and its file fills a backbone."""
    tensors = golden.state_dict('cls_v1_xxs')
    write_checkpoint(tmp_path / 'x.pt', tensors if source == 'published' else from_published(tensors, 'classification'))
    outcome = tool('convert_checkpoint', tmp_path / 'x.pt', tmp_path / 'backbone.pth', '--task', 'backbone')
    assert outcome.code in (0, None), outcome.output
    assert 'left out' in outcome.output and '303 of 311' in outcome.output and 'init_cfg' in outcome.output
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'backbone.pth'))
    backbone = MODELS.build(dict(type='mvit3_bench.MobileViTv1', arch='xxs', init_cfg=init_cfg))
    backbone.init_weights()
    assert torch.equal(backbone.stem.conv.weight, tensors['conv_1.block.conv.weight'])


def test_safetensors(tmp_path, tool):
    """By suffix, either way."""
    pytest.importorskip('safetensors', reason='safetensors is not installed')
    tensors = golden.state_dict('cls_v3_xxs')
    write_checkpoint(tmp_path / 'x.safetensors', tensors)
    assert tool('convert_checkpoint', tmp_path / 'x.safetensors', tmp_path / 'y.safetensors').code in (0, None)
    ours, wanted = read_file(tmp_path / 'y.safetensors')['state_dict'], from_published(tensors, 'classification')
    assert set(ours) == set(wanted) and all(torch.equal(ours[key], wanted[key]) for key in wanted)


def test_safetensors_is_not_installed(tmp_path, monkeypatch):
    """The package is named."""
    (tmp_path / 'x.safetensors').touch()
    monkeypatch.setattr('mvit3_bench.checkpoints.reading.find_spec', lambda name: None)
    with pytest.raises(CheckpointError, match=r'^\S+x.safetensors needs the package safetensors: pip install safetensors$'):
        read_file(tmp_path / 'x.safetensors')


def test_other_number_of_classes():
    """A head of one's own is a config with another number of classes."""
    tensors = golden.state_dict('seg_deeplabv3_v3_s_voc')
    for key in ('weight', 'bias'):
        key = f'seg_head.classifier.classifier.block.conv.{key}'
        tensors[key] = tensors[key][:7]
    found = match_configs(tensors)
    assert found.configs == ('configs/seg/deeplabv3_mvit3_s_voc2012.py with num_classes=7',) and found.dataset_meta is None


def test_other_width():
    """A width that is not in the papers has to be named."""
    tensors = MODELS.build(dict(type='mvit3_bench.MobileViTv3', arch=0.6)).state_dict()
    assert match_configs(tensors, arch='mvit3_0.6').model == 'mvit3_0.6'
    with pytest.raises(ValueError, match='comes closest to'):
        match_configs(tensors)


REFUSED = {
    'left over': ('cls_v3_xxs', lambda t: t | {'layer_3.1.extra.weight': torch.zeros(1)}, [], ['layer_3.1.extra.weight']),
    'left over in the head': ('det_v3_s', lambda t: t | {'ssd_heads.7.weight': torch.zeros(1)}, [], ['ssd_heads.7.weight']),
    'missing': ('cls_v3_xxs', lambda t: without(t, 'layer_4.0.block.exp_1x1.block.conv.weight'), [],
                ['1 missing', 'layer_4.0.block.exp_1x1.block.conv.weight', 'mvit3_xxs']),
    'missing in the head': ('cls_v3_xxs', lambda t: without(t, 'classifier.fc.bias'), [], ['1 missing: classifier.fc.bias']),
    'shape': ('cls_v2_0.5', lambda t: t | {'layer_3.1.conv_proj.block.norm.bias': torch.zeros(5)}, [],
              ['1 of another shape: layer_3.1.conv_proj.block.norm.bias (5,) instead of (128,)', 'mvit2_0.5']),
    'shape in the head': ('det_v3_s', lambda t: t | {'ssd_heads.2.proj_layer.block.conv.weight': torch.zeros(5)}, [],
                          ['ssd_heads.2.proj_layer.block.conv.weight', 'configs/det/ssdlite_mvit3_s_coco.py']),
    'shape of a predictor': ('det_v3_s', lambda t: t | {
        'ssd_heads.2.loc_cls_layer.pw_conv.block.conv.weight': torch.zeros(5)}, [],
        ['1 of another shape: ssd_heads.2.loc_cls_layer.pw_conv.block.conv.weight (5,)']),
    'two heads': ('cls_v3_xxs', lambda t: t | {'seg_head.x': torch.zeros(1)}, [],
                  ['classification (classifier.fc.weight), segmentation (seg_head.x)']),
    'another task': ('cls_v3_xxs', lambda t: t, ['--task', 'detection'],
                     ['--task detection', 'classification (classifier.fc.weight)']),
    'another arch': ('cls_v3_xxs', lambda t: t, ['--arch', 'mvit3_xs'], ['--arch mvit3_xs', 'those of mvit3_xxs']),
    'unknown arch': ('cls_v3_xxs', lambda t: t, ['--arch', 'resnet'], ['--arch resnet is not possible', 'mvit3_xxs']),
    'unknown width': ('cls_v3_xxs', lambda t: t, ['--arch', 'mvit3_9'], ["unknown arch '9' of MobileViTv3"]),
    'another network': ('cls_v3_xxs', lambda t: {'conv1.weight': t['classifier.fc.weight']}, [],
                        ['no MobileViT', 'conv1.weight']),
    'no tensors': ('cls_v3_xxs', lambda t: dict(epoch=1), [], ['no state dict', 'found: epoch']),
    'unknown head': ('det_v3_s', lambda t: {key: value for key, value in t.items() if key.startswith('encoder.')} | {
        'mask_rcnn.rpn.weight': torch.zeros(1)}, [], ['1 of 304 tensors', 'mask_rcnn.rpn (1)', '--task backbone']),
    'averages without names': ('cls_v3_xxs', lambda t: dict(model=t, ema=list(t.values())), [],
                               ['entry ema seems to hold averaged weights', 'without names: found list']),
    'averages of something': ('cls_v3_xxs', lambda t: dict(model=t, ema=dict(x=dict(y=torch.zeros(1)))), [],
                              ['entry ema seems to hold averaged weights, but no state dict']),
    'an entry with more': ('cls_v3_xxs', lambda t: dict(state_dict=t | dict(epoch=1)), [],
                           ['entry state_dict: 1 entries are no tensors: epoch']),
    'integers': ('cls_v3_xxs', lambda t: {key: value.to(torch.int8) for key, value in t.items()}, [],
                 ['not of real numbers']),
    'complex': ('cls_v3_xxs', lambda t: {key: value.to(torch.complex64) for key, value in t.items()}, [],
                ['not of real numbers']),
    'not a number': ('cls_v3_xxs', lambda t: t | {'classifier.fc.bias': torch.full((1000,), torch.nan)}, [],
                     ['1 of its tensors hold NaN', 'classifier.fc.bias']),
    'long key': ('cls_v3_xxs', lambda t: {'x' * 100_000: torch.zeros(1)}, [], ['no MobileViT', 'x' * 200 + '...']),
    'more than tensors': ('cls_v3_xxs', lambda t: t | dict(epoch=1), [], ['no tensors: epoch']),
    'reverse of published': ('cls_v3_xxs', lambda t: t, ['--reverse'], ['published names', '--reverse is for ours']),
    'ours already': ('cls_v3_xxs', lambda t: from_published(t, 'classification'), [],
                     ['our names already', '--task backbone'])}


def without(tensors, key):
    return {name: value for name, value in tensors.items() if name != key}


@pytest.mark.parametrize('case', REFUSED)
def test_refused(tmp_path, tool, case):
    """The message names file and key, and nothing is written."""
    name, change, flags, said = REFUSED[case]
    torch.save(change(golden.state_dict(name)), tmp_path / 'x.pt')
    outcome = tool('convert_checkpoint', tmp_path / 'x.pt', tmp_path / 'y.pth', *flags)
    assert outcome.code == 1
    for part in ('error: ', 'x.pt', *said):
        assert part in outcome.output
    assert [path.name for path in tmp_path.iterdir()] == ['x.pt']


class Hostile:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), 'w')


def test_shared_tensor_is_left_out_by_its_key():
    """An alias of a backbone's tensor is no part of the backbone."""
    tensors = golden.state_dict('det_v3_s')
    tensors['x.alias'] = tensors['encoder.conv_1.block.conv.weight']
    found = match_configs(tensors, task='backbone')
    assert 'x.alias' in found.left_out
    assert len(tensors) - len(found.left_out) == len(from_published(tensors, 'backbone'))


def test_names_of_classes():
    """Those of the papers' data sets come with their number of classes; an example's own do not."""
    tensors = golden.state_dict('cls_v3_xxs')
    assert len(match_configs(tensors).dataset_meta['classes']) == 1000
    tensors |= {key: tensors[key][:10] for key in ('classifier.fc.weight', 'classifier.fc.bias')}
    found = match_configs(tensors)
    assert found.num_classes == 10 and found.dataset_meta is None


def test_a_width_of_the_papers_by_another_name():
    """`--arch mvit3_1` is mvit3_1.0."""
    assert match_configs(golden.state_dict('cls_v3_1.0'), arch='mvit3_1').model == 'mvit3_1.0'


def test_several_configs_fit(tmp_path, tool):
    """Weights do not tell their image size, and the tool says so; what it wrote under other names fits none of ours."""
    torch.save(golden.state_dict('cls_v2_0.5'), tmp_path / 'x.pt')
    outcome = tool('convert_checkpoint', tmp_path / 'x.pt', tmp_path / 'y.pth')
    assert 'mvit2_0.5_384_in1k.py' in outcome.output and 'do not tell these apart' in outcome.output
    outcome = tool('convert_checkpoint', tmp_path / 'y.pth', tmp_path / 'z.pt', '--reverse')
    assert outcome.code in (0, None) and 'fits' not in outcome.output, outcome.output


@pytest.mark.parametrize('target, said', [
    ('x.pt/y.pth', 'cannot write'), ('y' * 300 + '.pth', 'File name too long'), ('y' * 250, 'File name too long'),
    ('link.pth', 'exists already')])
def test_bad_target(tmp_path, tool, target, said):
    """A name that cannot be written is named, and the source stays."""
    torch.save(golden.state_dict('cls_v3_xxs'), tmp_path / 'x.pt')
    (tmp_path / 'link.pth').symlink_to('nowhere')
    outcome = tool('convert_checkpoint', tmp_path / 'x.pt', tmp_path / target)
    assert outcome.code == 1 and said in outcome.output and 'Traceback' not in outcome.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ['link.pth', 'x.pt']


def test_format_unlike_the_suffix(tmp_path):
    """The message says which suffix a file should have."""
    pytest.importorskip('safetensors', reason='safetensors is not installed')
    write_checkpoint(tmp_path / 'x.safetensors', dict(weight=torch.zeros(3)))
    (tmp_path / 'x.safetensors').rename(tmp_path / 'x.pt')
    torch.save(dict(weight=torch.zeros(3)), tmp_path / 'y.safetensors')
    for name, said in (('x.pt', 'let its name end in .safetensors'), ('y.safetensors', 'let its name end in .pth')):
        with pytest.raises(CheckpointError, match=said):
            read_file(tmp_path / name)


@pytest.mark.parametrize('checksums', [True, False])
def test_flipped_bit(tmp_path, checksums):
    """A file that was damaged on its way is found by its checksums, where it has them."""
    torch.serialization.set_crc32_options(checksums)
    try:
        torch.save(dict(weight=torch.arange(1000.0)), tmp_path / 'x.pt')
    finally:
        torch.serialization.set_crc32_options(True)
    read_file(tmp_path / 'x.pt')
    content = bytearray((tmp_path / 'x.pt').read_bytes())
    content[content.index(torch.tensor([500.0, 501.0]).numpy().tobytes())] ^= 1
    (tmp_path / 'x.pt').write_bytes(content)
    if checksums:
        with pytest.raises(CheckpointError, match='damaged data.*data/0'):
            read_file(tmp_path / 'x.pt')
    else:
        read_file(tmp_path / 'x.pt')


@pytest.mark.parametrize('kind', ['hostile', 'truncated', 'empty', 'absent', 'itself'])
def test_bad_file(tmp_path, tool, kind):
    """No code of a file is run; a broken or missing one is named."""
    path = tmp_path / 'x.pt'
    content = dict(state_dict=golden.state_dict('cls_v3_xxs'))
    if kind == 'hostile':
        content['epoch'] = Hostile(tmp_path / 'run')
    elif kind == 'itself':
        content = {'epoch': 1}
        content['model'] = content
    if kind != 'absent':
        torch.save(content, path)
    if kind in ('truncated', 'empty'):
        path.write_bytes(path.read_bytes()[:path.stat().st_size // 2 if kind == 'truncated' else 0])
    outcome = tool('convert_checkpoint', path, tmp_path / 'y.pth')
    assert outcome.code == 1 and str(path) in outcome.output and 'Traceback' not in outcome.output
    assert not (tmp_path / 'run').exists() and not (tmp_path / 'y.pth').exists()


def test_nothing_is_overwritten(tmp_path, tool):
    """Neither the source nor any other file."""
    torch.save(golden.state_dict('cls_v3_xxs'), tmp_path / 'x.pt')
    before = (tmp_path / 'x.pt').read_bytes()
    outcome = tool('convert_checkpoint', tmp_path / 'x.pt', tmp_path / 'x.pt')
    assert outcome.code == 1 and 'exists already' in outcome.output
    assert (tmp_path / 'x.pt').read_bytes() == before


def test_broken_off_writing_leaves_nothing(tmp_path, monkeypatch):
    """A full disk leaves no half file."""
    def save(content, file):
        file.write(b'half')
        raise OSError(errno.ENOSPC, 'no space left on device')
    monkeypatch.setattr(torch, 'save', save)
    with pytest.raises(WriteError, match='x.pth: no space'):
        write_checkpoint(tmp_path / 'x.pth', dict(weight=torch.zeros(1)))
    assert not list(tmp_path.iterdir())


def test_own_classes_stay(tmp_path):
    """A checkpoint's own names of classes, in their order, precede those of the config that it fits; as safetensors, too."""
    found = Match('published', 'classification', 'mvit3_s', configs=('a.py',), dataset_meta=dict(classes=('cat', 'dog')))
    own = dict(meta=dict(dataset_meta=dict(classes=('dog', 'cat'), palette=np.zeros((2, 3)))))
    assert meta_of(own, found, 'x.pt')['dataset_meta'] == own['meta']['dataset_meta']
    assert meta_of({}, found, 'x.pt')['dataset_meta']['classes'] == ('cat', 'dog')
    assert 'dataset_meta' not in meta_of(own, replace(found, task='backbone', dataset_meta=None), 'x.pt')
    write_checkpoint(tmp_path / 'x.safetensors', dict(w=torch.zeros(1)), meta_of(own, found, 'x.pt'))
    assert read_file(tmp_path / 'x.safetensors')['meta']['dataset_meta']['classes'] == ['dog', 'cat']
