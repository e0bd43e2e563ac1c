"""The tools end to end on miniature data: train, stop, resume, test, draw; and what they say to bad input."""
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import conftest
import pytest
import torch
from processes import free_port

pytest.importorskip('mmseg', reason='mmsegmentation is not installed')

CONFIG = conftest.ROOT / 'configs' / 'seg' / 'deeplabv3_mvit3_0.5_ade20k.py'
# four iterations an epoch, on little images
SHORT = ['train_dataloader.dataset.indices=8', 'train_dataloader.batch_size=2', 'val_dataloader.dataset.indices=2',
         'test_dataloader.dataset.indices=2', 'train_cfg.val_interval=1', 'randomness.seed=0']


def train(tool, epochs, *flags):
    """Train a few iterations in work_dirs/run."""
    return tool('train', CONFIG, '--mini', '--work-dir', 'work_dirs/run', *flags,
                '--cfg-options', *SHORT, f'train_cfg.max_epochs={epochs}')


def test_train_and_test(run_dir, trained, tool):
    """A work dir keeps config, log, checkpoints, the best one and EMA weights; testing it draws, and writes json and png."""
    run = trained(CONFIG)
    names = {path.name for path in run.iterdir()}
    assert {CONFIG.name, 'epoch_1.pth', 'best_mIoU_epoch_1.pth', 'last_checkpoint'} <= names
    assert list(run.glob('*/*.log'))
    assert 'ema_state_dict' in torch.load(run / 'epoch_1.pth', weights_only=True)

    outcome = tool('test', CONFIG, run, '--mini', '--out', 'out', '--show-dir', 'pictures', '--work-dir', 'work_dirs/t',
                   '--cfg-options', *SHORT)
    assert outcome.code == 0, outcome.output
    metrics = json.loads((run_dir / 'out' / 'metrics.json').read_text())
    assert f'mIoU {metrics["mIoU"]:.4g}' in outcome.output and '\n2 pictures, for instance pictures/' in outcome.output
    assert len(list((run_dir / 'out').glob('*.png'))) == len(list((run_dir / 'pictures').glob('*.png'))) == 2
    assert not list(run_dir.glob('out/*.pkl'))

    with next(run.glob('*/vis_data/scalars.json')).open('a') as file:
        file.write('{"lo')  # as a run that is killed may leave it
    outcome = tool('plot_curves', run, 'curve.png')
    assert not outcome.code and (run_dir / 'curve.png').stat().st_size > 5000
    outcome = tool('plot_curves', run, 'curve.png', '--metric', 'coco/bbox_mAP')
    assert outcome.code == 1 and "no 'coco/bbox_mAP' in" in outcome.output


def test_killed_training_resumes(run_dir, tool):
    """Killed in its third epoch, a training goes on behind the second: iteration, optimiser, EMA, schedule, history."""
    run = run_dir / 'work_dirs' / 'run'
    process = conftest.start('train', CONFIG, '--mini', '--work-dir', run, '--cfg-options', *SHORT,
                             'train_cfg.max_epochs=40', 'default_hooks.logger.interval=1')
    deadline = time.monotonic() + 240
    while process.poll() is None and time.monotonic() < deadline and not any(
            '"epoch": 3' in file.read_text() for file in run.glob('*/vis_data/scalars.json')):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    last = int((run / 'last_checkpoint').read_text().rpartition('_')[2].split('.')[0])
    before = torch.load(run / f'epoch_{last}.pth', weights_only=True)

    outcome = train(tool, last + 1, '--resume')
    assert outcome.code == 0, outcome.output
    assert f'resumed epoch: {last}, iter: {4 * last}' in outcome.output
    after = torch.load(run / f'epoch_{last + 1}.pth', weights_only=True)
    assert after['meta']['iter'] == 4 * (last + 1)
    assert after['ema_state_dict']['steps'] == 4 * (last + 1) + 1  # the initial weights are the first
    lr = [checkpoint['optimizer']['param_groups'][0]['lr'] for checkpoint in (before, after)]
    assert lr[1] < lr[0]
    momentum = [len(checkpoint['optimizer']['state']) for checkpoint in (before, after)]
    assert momentum[0] == momentum[1] > 100
    history = [len(checkpoint['message_hub']['log_scalars']['train/loss'].data[0]) for checkpoint in (before, after)]
    assert history[1] == history[0] + 4

    outcome = tool('test', run / CONFIG.name, run)  # the config that the resumed run has dumped
    assert outcome.code == 0 and 'mIoU' in outcome.output, outcome.output


def test_two_processes(run_dir, tool):
    """Two processes train, say once that a CPU does not synchronise batch norms, and test to the same metrics as one."""
    config = conftest.ROOT / 'configs' / conftest.TASKS['classification']
    short = [*conftest.short(config), 'test_dataloader.dataset.indices=5']

    def run(script, *args, options=()):
        env = dict(os.environ, PORT=str(free_port()), PATH=f'{Path(sys.executable).parent}:{os.environ["PATH"]}')
        result = subprocess.run(['bash', str(conftest.ROOT / 'tools' / script), *map(str, args), '--cfg-options', *short,
                                 *options], env=env, text=True, capture_output=True)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout + result.stderr

    def metrics(text):
        return next(line for line in text.splitlines() if line.startswith('accuracy/top1'))

    text = run('dist_train.sh', config, 2, '--mini', '--work-dir', 'run', options=[
        'sync_bn=torch', 'train_dataloader.dataset.indices=16'])
    assert text.count('sync_bn=torch needs GPUs') == 1
    checkpoint = run_dir / 'run' / 'epoch_1.pth'
    assert torch.load(checkpoint, weights_only=True)['meta']['iter'] == 2
    two = run('dist_test.sh', config, checkpoint, 2, '--mini')
    one = tool('test', config, checkpoint, '--mini', '--cfg-options', *short)
    assert metrics(one.output) == metrics(two)


@pytest.mark.parametrize('name, flags, expected', [
    ('unknown arch', ['model.backbone.arch=huge'], ['huge', 'xxs', '1.0']),
    ('out_indices', ['model.backbone.out_indices=(1,2,9)'], ['out_indices=9', '-5', '4']),
    ('output stride', ['model.backbone.output_stride=4'], ['output_stride=4', '32', '16', '8']),
    ('unknown argument', ['model.backbone.depth=3'], ['depth']),
    ('another runner', ['runner_type=FlexibleRunner', 'strategy.type=FSDPStrategy'], ['FlexibleRunner', 'leave']),
])
def test_impossible_model(run_dir, tool, name, flags, expected):
    """An impossible argument ends in exit code 1 and a message with the possible values, without a traceback."""
    outcome = tool('train', CONFIG, '--mini', '--cfg-options', *flags)
    assert outcome.code == 1
    message = outcome.output[outcome.output.rindex('error: '):]
    assert all(part in message for part in expected), message
    assert 'Traceback' not in outcome.output


def test_missing_data(run_dir, tool):
    """Without the data set, the message names its place and layout and --mini."""
    outcome = tool('train', CONFIG)
    assert outcome.code == 1
    for part in ('data/ade/ADEChallengeData2016', 'images/training', 'annotations/training', '--mini'):
        assert part in outcome.output


def test_missing_config(run_dir, tool):
    """A config that does not exist is named, and so are its neighbours."""
    outcome = tool('train', CONFIG.with_name('deeplabv3_mvit3_9.0_ade20k.py'))
    assert outcome.code == 1
    assert 'deeplabv3_mvit3_9.0_ade20k.py' in outcome.output and CONFIG.name in outcome.output


def test_no_miniature(run_dir, tool):
    """--mini on a data set without a miniature says which there are."""
    config = run_dir / 'cityscapes.py'
    config.write_text(f"_base_ = ['{CONFIG}']\ntrain_dataloader = dict(dataset=dict(type='CityscapesDataset'))\n")
    outcome = tool('train', config, '--mini')
    assert outcome.code == 1 and 'no miniature of CityscapesDataset' in outcome.output
    assert 'ADE20KDataset' in outcome.output and 'BaseSegDataset' in outcome.output


@pytest.mark.parametrize('count, expected', [('3.5', 'whole numbers'), ('auto', 'batch')])
def test_impossible_accumulation(run_dir, tool, count, expected):
    """An accumulation that is no number, or cannot make the recipe's batch, is refused."""
    outcome = tool('train', CONFIG, '--mini', '--accumulate', count, '--cfg-options', 'train_dataloader.batch_size=5')
    assert outcome.code == 1 and expected in outcome.output


def truncate(run_dir, name='ADE_train_00000003.jpg'):
    """A copy of the miniature data with one image cut in half."""
    import shutil
    (run_dir / 'broken').mkdir()
    source = run_dir / 'data' / 'mini' / 'ade' / 'ADEChallengeData2016'
    root = shutil.copytree(source, run_dir / 'broken' / 'ade')
    image = root / 'images' / 'training' / name
    image.write_bytes(image.read_bytes()[:image.stat().st_size // 2])
    return root, name


@pytest.mark.parametrize('workers', [0, 1])
def test_truncated_image_stops(run_dir, tool, workers):
    """A truncated image stops the training and is named, also from a worker process."""
    root, name = truncate(run_dir)
    outcome = tool('train', CONFIG, '--mini', '--cfg-options', *SHORT, f'train_dataloader.dataset.data_root={root}',
                   'train_cfg.max_epochs=1', f'train_dataloader.num_workers={workers}')
    assert outcome.code == 1
    message = outcome.output[outcome.output.rindex('error: '):]
    assert name in message and 'skip' in message


def test_truncated_image_is_skipped_and_counted(run_dir, tool):
    """With on_error='skip' the training goes on, and the log counts and names what was skipped."""
    root, name = truncate(run_dir)
    outcome = tool('train', CONFIG, '--mini', '--cfg-options', *SHORT, f'train_dataloader.dataset.data_root={root}',
                   'train_cfg.max_epochs=1', 'train_dataloader.dataset.pipeline.0.on_error=skip')
    assert outcome.code == 0, outcome.output
    line = next(line for line in outcome.output.splitlines() if 'skipped sample no. 1' in line)
    assert name in line


def test_checkpoint_of_another_model(run_dir, tool):
    """The message lists missing and unexpected tensors by group."""
    torch.save({'state_dict': {'backbone.conv1.weight': torch.zeros(1), 'backbone.conv1.bias': torch.zeros(1)}}, 'x.pth')
    outcome = tool('test', CONFIG, 'x.pth', '--mini')
    assert outcome.code == 1
    assert 'unexpected: backbone.conv1 (2)' in outcome.output and 'missing: backbone.stem' in outcome.output


@pytest.mark.parametrize('content', [b'', b'no checkpoint', b'PK\x03\x04 broken'])
def test_not_a_checkpoint(run_dir, tool, content):
    """A file that is no checkpoint is named."""
    (run_dir / 'x.pth').write_bytes(content)
    outcome = tool('test', CONFIG, 'x.pth', '--mini')
    assert outcome.code == 1
    assert 'error: x.pth is not a checkpoint' in outcome.output and 'Traceback' not in outcome.output


def test_missing_checkpoint(run_dir, tool):
    """A file that is not there is named."""
    outcome = tool('test', CONFIG, 'absent.pth', '--mini')
    assert outcome.code == 1 and 'checkpoint not found: absent.pth' in outcome.output


def test_resume_from_missing_checkpoint(run_dir, tool):
    """A checkpoint to resume from that is not there is named, without a traceback."""
    outcome = tool('train', CONFIG, '--mini', '--resume', 'absent.pth')
    assert outcome.code == 1 and 'error: checkpoint not found: absent.pth' in outcome.output
    assert 'Traceback' not in outcome.output
