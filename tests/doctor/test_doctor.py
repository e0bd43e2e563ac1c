"""The doctor finds real defects of packages, data, config and disk, each with a fix, and nothing in a sound run."""
import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple

import conftest
import pytest
import torch
from PIL import Image

pytest.importorskip('mmseg', reason='mmsegmentation is not installed')

CONFIGS = conftest.ROOT / 'configs'
CONFIG = CONFIGS / 'seg' / 'deeplabv3_mvit3_0.5_ade20k.py'
VOC = CONFIGS / 'seg' / 'deeplabv3_mvit3_0.5_voc2012.py'
Usage = namedtuple('Usage', 'total used free')
TASKS = dict(mmseg=CONFIG, mmdet=CONFIGS / 'det' / 'ssdlite_mvit3_xxs_coco.py',
             mmpretrain=CONFIGS / 'cls' / 'mvit3_xxs_in1k.py')


@pytest.fixture
def disk(monkeypatch):
    """Folder -> bytes free there; 100 GB where a test says nothing else, whatever this machine has."""
    free = {}
    monkeypatch.setattr(shutil, 'disk_usage', lambda path: Usage(10**12, 10**12, free.get(str(path), free.get('', 10**11))))
    return free


@pytest.fixture
def doctor(run_dir, tool, disk):
    """Run the doctor on the miniature of a config -> exit code and findings."""
    def call(*options, config=CONFIG, flags=('--mini', '--samples', 2)):
        arguments = [*flags, *(['--cfg-options', *options] if options else [])]
        outcome = tool('doctor', *([config] if config else []), '--json', *arguments)
        findings, _ = json.JSONDecoder().raw_decode(outcome.output)
        assert outcome.code == int(any(each['level'] == 'error' for each in findings)), outcome.output
        return outcome.code, findings
    return call


def complaints(findings, level=None):
    """Findings that are warnings or errors, or those of one level."""
    return [each for each in findings if each['level'] in ([level] if level else ['warning', 'error'])]


def the(findings, section, level):
    """The one complaint there is; a run with one defect has no other."""
    found, = complaints(findings)
    assert (found['section'], found['level']) == (section, level) and found['fix'], found
    return found


@pytest.mark.parametrize('framework', TASKS)
def test_sound(doctor, framework):
    """A miniature run of each task has no complaint, and every section something to say."""
    pytest.importorskip(framework)
    code, findings = doctor(config=TASKS[framework])
    assert code == 0 and not complaints(findings), complaints(findings)
    assert list(dict.fromkeys(each['section'] for each in findings)) == ['packages', 'data', 'config', 'disk']
    assert all(set(each) == {'section', 'name', 'level', 'found', 'fix'} for each in findings)


def test_without_config(doctor, run_dir):
    """Standard roots: what is absent, and what is there in part, with the difference to the published numbers."""
    (run_dir / 'data' / 'ade').symlink_to(run_dir / 'data' / 'mini' / 'ade')
    code, findings = doctor(config=None, flags=())
    found = the(findings, 'data', 'warning')
    assert code == 0 and found['name'] == 'data/ade/ADEChallengeData2016'
    assert 'images/training has 48 of 20,210 (-20,162)' in found['found']
    levels = {each['name']: each['level'] for each in findings}
    assert levels['data/imagenet'] == levels['data/coco'] == levels['data/VOCdevkit/VOC2012'] == 'info'
    assert levels['torch'] == levels['mmdet'] == levels['operators'] == 'ok'


def test_table(run_dir, tool):
    """Without --json: aligned lines by section, fixes below, a count at the end, exit code 1 for an error."""
    outcome = tool('doctor', CONFIG)
    lines = outcome.output.splitlines()
    assert outcome.code == 1
    assert {'packages', 'data', 'config', 'disk'} <= set(lines)
    assert any(line.startswith('  error    train_dataloader  train_dataloader: ADE20KDataset not found') for line in lines)
    assert any('-> put or link the data there' in line for line in lines)
    assert any(line.startswith('ok: ') and line.endswith('error: 2') for line in lines)


@pytest.mark.parametrize('flags, part', [
    (['absent.py'], 'config not found: absent.py'), ([CONFIG, '--samples', 0], '--samples 0 is not possible'),
    ([CONFIG, '--processes', -1], '--processes -1 is not possible')])
def test_usage(run_dir, tool, flags, part):
    """What cannot be examined at all is an error of usage."""
    outcome = tool('doctor', *flags)
    assert outcome.code == 1 and f'error: {part}' in outcome.output and 'Traceback' not in outcome.output


# ------------------------------------------------------------------------------------------------ data
@pytest.fixture
def own(run_dir):
    """A copy of the miniature data to be damaged, and the option that names it."""
    root = shutil.copytree(run_dir / 'data' / 'mini' / 'ade' / 'ADEChallengeData2016', run_dir / 'own')
    return root, *(f'{loader}_dataloader.dataset.data_root={root}' for loader in ('train', 'val', 'test'))


def test_missing_folder(doctor, own):
    """It is named, with the expected layout and the fixes; the other loaders are examined all the same."""
    root, *options = own
    shutil.rmtree(root / 'annotations' / 'training')
    _, findings = doctor(*options)
    found = the(findings, 'data', 'error')
    assert 'missing: annotations/training' in found['found'] and '--mini' in found['fix']
    assert any(each['name'] == 'val_dataloader' and each['level'] == 'ok' for each in findings)


@pytest.mark.parametrize('part, name', [('training', 'train_dataloader'), ('validation', 'val_dataloader')])
def test_truncated_image(doctor, own, part, name):
    """With all samples tried, a truncated image of any loader is found and named."""
    root, *options = own
    image = sorted((root / 'images' / part).iterdir())[5]
    image.write_bytes(image.read_bytes()[:image.stat().st_size // 2])
    _, findings = doctor(*options, flags=('--mini', '--samples', 48))
    found = the(findings, 'data', 'error')
    assert found['name'] == name and image.name in found['found']


def test_depth_of_validation_images(doctor, own):
    """What the start of a validation would refuse is refused here, unless the config allows it; an endless order ends."""
    root, *options = own
    for image in (root / 'images' / 'validation').iterdir():
        Image.new('I;16', Image.open(image).size).save(image.with_suffix('.png'))
        image.unlink()
        image.with_suffix('.png').rename(image)
    options.append('train_dataloader.sampler.type=InfiniteSampler')
    assert all(each['name'] == 'val_dataloader' for each in complaints(doctor(*options)[1], 'error'))
    assert complaints(doctor(*options)[1], 'error')
    assert not complaints(doctor(*options, 'default_hooks.samples.any_depth=True')[1], 'error')


@pytest.mark.parametrize('part', ['training', 'validation'])
def test_foreign_labels(doctor, own, part):
    """A mask with a number that is no class is found among the samples; the number is the file's."""
    root, *options = own
    for mask in (root / 'annotations' / part).iterdir():
        Image.new('L', Image.open(mask).size, 151).save(mask)
    _, findings = doctor(*options)
    assert complaints(findings)
    for found in complaints(findings):
        assert found['level'] == 'error' and str(root / 'annotations' / part) in found['found']
        assert 'has the labels 151; possible are 1 to 150, and 0 and 255' in found['found']
        assert 'fix the mask' in found['fix']


def test_validation_in_training(doctor, own):
    """Each loader is well by itself, but they read the same images."""
    root, *options = own
    options += [f'train_dataloader.dataset.data_prefix.{key}={kind}/validation'
                for key, kind in (('img_path', 'images'), ('seg_map_path', 'annotations'))]
    _, findings = doctor(*options)
    found = the(findings, 'data', 'error')
    assert '16 of 16 images of the validation' in found['found'] and 'take them out of the training' in found['fix']


def test_unlike_published(doctor, run_dir):
    """The lists of VOC2012 are counted against the published ones, in every loader."""
    root = run_dir / 'data' / 'mini' / 'VOCdevkit' / 'VOC2012'
    _, findings = doctor(*(f'{key}.data_root={root}' for key in (
        'train_dataloader.dataset.datasets.0', 'train_dataloader.dataset.datasets.1', 'val_dataloader.dataset')),
        config=VOC, flags=('--samples', 1))
    counted = [each['found'] for each in complaints(findings, 'warning') if each['section'] == 'data']
    assert len(counted) == 3 and all(each.startswith('not as published: ImageSets/Segmentation/') for each in counted)
    assert 'val.txt has 18 of 1,449 (-1,431)' in counted[-1]


def test_pipeline(doctor):
    """A transform that fails on real images is an error of its loader."""
    _, findings = doctor('train_dataloader.dataset.pipeline.4.crop_size="(0,8)"')
    assert {each['name'] for each in complaints(findings, 'error')} == {'train_dataloader'}


# ------------------------------------------------------------------------------------------------ config
@pytest.mark.parametrize('option, parts', [
    ('trian_dataloader.batch_size=2', ('the config has no trian_dataloader', 'train_dataloader')),
    ('train_cfg.max_epoch=20', ('train_cfg has no max_epoch', 'train_cfg.max_epochs')),
    ('nothing.at.all=1', ('the config has no nothing', 'take it away'))])
def test_unknown_key(doctor, option, parts):
    """A key that is not in the config is named, with the nearest that is."""
    found = the(doctor(option)[1], 'config', 'error')
    assert parts[0] in found['found'] and parts[1] in found['fix']


@pytest.mark.parametrize('option, level', [
    ('randomness.seed=0', None), ('train_dataloader.dataset.indices=40', None), ('randomness.sed=0', 'error'),
    ('model.backbone.arhc=s', 'error'), ('optim_wrapper.optimizer.nestrov=True', 'error')])
def test_new_key(doctor, option, level):
    """A new key of a known kind is no fault; one that a class refuses is an error."""
    code, findings = doctor(option)
    assert code == (level == 'error')
    assert bool(complaints(findings)) == (level is not None)


@pytest.mark.parametrize('options, parts', [
    (['train_dataloader.batch_size=4'], ('effective batch 4', '--auto-scale-lr')),
    (['train_cfg.max_epochs=10'], ('ends after 20 epochs, but the training has 10', 'end=10')),
    (['train_cfg.max_epochs=30'], ('over after epoch 20', 'max_epochs=20')),
    (['train_cfg.val_interval=50'], ('no validation', 'val_interval=2')),
    (['custom_hooks.0.momentum=5e-4'], ('94% of the initial weights', 'momentum=0.17'))])
def test_unfit_setting(doctor, options, parts):
    """Settings that do not fit each other, each alone."""
    _, findings = doctor(*options)
    found = complaints(findings, 'warning')
    assert len(found) == len(options) and not complaints(findings, 'error'), found
    assert parts[0] in found[0]['found'] and parts[1] in found[0]['fix']


def test_warm_up_longer_than_the_training(doctor):
    """What the training would refuse at its start is known before."""
    _, findings = doctor('param_scheduler.0.warmup_iters=120')
    found, = complaints(findings, 'error')
    assert 'warms up for 120 iterations, but the training has 120' in found['found'] and 'warmup_iters=6' in found['fix']


def test_processes(doctor):
    """More processes: the batch is theirs all together."""
    _, findings = doctor('train_dataloader.batch_size=4', flags=('--mini', '--samples', 1, '--processes', 2))
    assert not complaints(findings)


def test_classes(doctor):
    """A head for another number of classes than the data have."""
    found = complaints(doctor('model.decode_head.num_classes=149')[1])
    assert [each['found'] for each in found] == [
        f'{loader}_dataloader has 150 classes, model.decode_head.num_classes=149' for loader in ('train', 'val')]
    assert all(each['level'] == 'error' and each['fix'] == 'model.decode_head.num_classes=150' for each in found)


@pytest.mark.parametrize('options, part', [
    (['load_from=absent.pth'], 'checkpoint not found: absent.pth'),
    (['load_from=foreign.pth'], 'checkpoint of another model'),
    (['load_from=empty.pth'], 'is not a checkpoint')])
def test_start_weights(doctor, run_dir, options, part):
    """Weights to start from that are missing, broken, or of another model."""
    torch.save(dict(state_dict={'backbone.conv.weight': torch.zeros(1)}), run_dir / 'foreign.pth')
    (run_dir / 'empty.pth').touch()
    _, findings = doctor(*options)
    assert part in the(findings, 'config', 'error')['found']


# ------------------------------------------------------------------------------------------------ work dir and disk
def test_work_dir(doctor, run_dir, trained):
    """The size of its checkpoints is estimated; an earlier run and another config in it are told; so is a broken latest."""
    from mvit3_bench.doctor.disk import checkpoint_sizes
    from mvit3_bench.engine.run_config import read_config
    from mvit3_bench.registry import MODELS
    trained(CONFIG)
    cfg = read_config(str(CONFIG))
    size, _, best = checkpoint_sizes(cfg, MODELS.build(cfg.model))
    assert (run_dir / 'run' / 'epoch_1.pth').stat().st_size == pytest.approx(size, rel=0.03)
    assert (run_dir / 'run' / 'best_mIoU_epoch_1.pth').stat().st_size == pytest.approx(best, rel=0.03)

    def about(name, *options):
        _, findings = doctor(*conftest.short(CONFIG), *options, flags=('--mini', '--samples', 1, '--work-dir', 'run'))
        return next(each for each in findings if each['name'] == name)
    assert 'overwritten' in about('work dir')['found'] and about('resume')['level'] == 'ok'
    other = about('work dir', 'train_cfg.max_epochs=2')
    assert other['level'] == 'warning' and 'train_cfg.max_epochs: 1 -> 2' in other['found']
    latest = run_dir / 'run' / 'epoch_1.pth'
    (run_dir / 'run' / 'last_checkpoint').write_text('elsewhere/epoch_1.pth')  # the folder is a copy
    latest.write_bytes(latest.read_bytes()[:1000])
    assert about('resume')['level'] == 'warning' and 'epoch_1.pth is not a checkpoint' in about('resume')['found']
    latest.unlink()
    assert about('resume', 'resume=True')['level'] == 'error'


@pytest.mark.parametrize('free, level', [(10, 'error'), (400, 'warning')])
def test_full_disk(doctor, disk, free, level):
    """Three checkpoints of 79 MB and the best one need 0.29 GB; where there is less, the run would stop."""
    disk |= {'': free * 10**6, '/dev/shm': 10**11}
    found = the(doctor()[1], 'disk', level)
    assert '3 checkpoints of 79 MB' in found['found'] and 'max_keep_ckpts' in found['fix']


@pytest.mark.parametrize('option, files', [('default_hooks=None', 20), ('default_hooks.checkpoint=None', 0)])
def test_hooks_of_mmengine(doctor, option, files):
    """A config without hooks has those of MMEngine, one without the hook of checkpoints writes none."""
    _, findings = doctor(option)
    assert f'{files} checkpoints' in next(each['found'] for each in findings if each['name'] == 'room')


@pytest.mark.parametrize('options', [
    ['auto_scale_lr=None'], ['train_dataloader=None', 'train_cfg=None', 'optim_wrapper=None', 'param_scheduler=None']])
def test_set_to_none(doctor, options):
    """What a config sets to None is no fault, as MMEngine takes it: one that only tests has no training."""
    code, findings = doctor(*options)
    assert code == 0 and not complaints(findings, 'error'), findings


def test_no_folder(doctor, run_dir):
    """A work dir below a file cannot be written."""
    (run_dir / 'file').touch()
    found = the(doctor(flags=('--mini', '--samples', 1, '--work-dir', 'file/run'))[1], 'disk', 'error')
    assert 'Not a directory' in found['found']


def test_small_shared_memory(doctor, disk):
    """Less shared memory than the batches of the workers need."""
    disk['/dev/shm'] = 10**5
    found = the(doctor('train_dataloader.num_workers=1')[1], 'data', 'warning')
    assert found['name'] == 'train_dataloader' and '1 workers' in found['found'] and '--shm-size' in found['fix']


# ------------------------------------------------------------------------------------------------ packages
def test_operators(doctor, monkeypatch):
    """A library of operators that does not fit torch."""
    def nms(*args, **kwargs):
        raise RuntimeError('undefined symbol')
    monkeypatch.setattr('mmcv.ops.nms', nms)
    found = the(doctor(config=None, flags=())[1], 'packages', 'error')
    assert found['name'] == 'operators' and 'undefined symbol' in found['found']


@pytest.mark.parametrize('absent, arguments, complaint', [
    ('mmengine', [], ('mmengine', 'not installed; needed by every tool')),
    ('mmseg', [str(CONFIG), '--mini'], ('mmseg', 'not installed; needed for segmentation'))])
def test_missing_package(run_dir, absent, arguments, complaint):
    """Without MMEngine, or the framework of a config, the doctor still speaks; and --json prints json alone."""
    code = (f"import runpy, sys; sys.modules[{absent!r}] = None; sys.argv = ['doctor', '--json', *{arguments!r}]; "
            f"runpy.run_path({str(conftest.ROOT / 'tools' / 'doctor.py')!r}, run_name='__main__')")
    result = subprocess.run([sys.executable, '-c', code], env=dict(os.environ, PYTHONPATH=str(conftest.ROOT)),
                            capture_output=True, text=True)
    assert result.returncode == 1, result.stderr
    errors = [each for each in json.loads(result.stdout) if each['level'] == 'error']
    assert (errors[0]['name'], errors[0]['found']) == complaint  # others follow from it
    assert all('pip install' in each['fix'] for each in errors)
