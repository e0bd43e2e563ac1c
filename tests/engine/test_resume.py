"""Nothing is lost: trainings stopped anywhere and resumed end in the very bits of those that nobody disturbed.

Those marked slow train several times more, in variants of what the others try.
"""
import functools
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import conftest
import pytest
import torch
from mmengine.config import Config
from processes import free_port

for package in ('mmpretrain', 'mmdet', 'mmseg'):
    pytest.importorskip(package, reason=f'{package} is not installed')

from faults.kills import TASKS, faults, outcome_of, unequal  # noqa: E402

from mvit3_bench.engine.hooks.preemption import EXIT_CODE  # noqa: E402

# one config of each task, and of classification both types: multi-scale batches, and mixup with transforms of torchvision
CONFIGS = {name: conftest.ROOT / 'configs' / task.config for name, task in TASKS.items()}
CONFIGS['v2 type'] = conftest.ROOT / 'configs' / 'cls' / 'mvit3_0.5_in1k.py'
SHORT = ['train_cfg.max_epochs=2', 'train_cfg.val_interval=1', 'default_hooks.logger.interval=1']
IMAGES = dict(
    classification=[
        'train_dataloader.dataset.indices=14', 'train_dataloader.batch_size=4', 'val_dataloader.dataset.indices=4'],
    detection=['train_dataloader.dataset.indices=6', 'train_dataloader.batch_size=2', 'val_dataloader.dataset.indices=4'],
    segmentation=[*(f'train_dataloader.dataset.datasets.{part}.indices=3' for part in (0, 1)),
                  'train_dataloader.batch_size=2', 'val_dataloader.dataset.indices=2'])
IMAGES['v2 type'] = ['train_dataloader.dataset.indices=12', *IMAGES['classification'][1:]]
SEED = 'randomness.seed=7'


@pytest.fixture
def train(run_dir, tool, monkeypatch):
    """Train a task in a folder: ``train('detection', 'run', '--resume', hook=dict(...), options=[...])``."""
    # the layout of the config in each checkpoint takes as long as so short a training
    for module in ('mmengine.config.config', 'yapf.yapflib.yapf_api'):  # the forks import it from there at each call
        monkeypatch.setattr(f'{module}.FormatCode', lambda text, **style: (text, True), raising=False)

    def call(task, folder, *flags, hook=None, options=(SEED,)):
        config = run_dir / 'config.py'
        config.write_text(f'_base_ = [{str(CONFIGS[task])!r}]\n'
                          + (f'custom_hooks = [*_base_.custom_hooks, {hook!r}]\n' if hook else ''))
        return tool('train', config, '--mini', '--work-dir', folder, *flags,
                    '--cfg-options', *SHORT, *IMAGES[task], *options)
    return call


@pytest.fixture(scope='module')
def references():
    """What undisturbed trainings have ended in."""
    return {}


@pytest.fixture
def whole(train, references):
    """Train a task without disturbance, each but once: ``whole('detection')`` -> what has to be equal."""
    def call(task, *flags, options=(SEED,)):
        key = (task, *flags, *options)
        if key not in references:
            outcome = train(task, 'whole', *flags, options=options)
            assert outcome.code == 0, outcome.output
            references[key] = outcome_of(Path('whole'))
        return references[key]
    return call


@pytest.fixture(scope='module', autouse=True)
def hooks():
    """Hooks that do to a training what the world does."""
    from mmengine.hooks import Hook

    from mvit3_bench.registry import HOOKS

    class SignalHook(Hook):
        """Send a signal to this very process at a point of the training, once it has run so many iterations."""

        def __init__(self, point, iteration, number=signal.SIGTERM):
            setattr(self, point, self.send)
            self.iteration, self.number = iteration, number

        def send(self, runner, *args, **kwargs):
            if runner.iter == self.iteration:
                os.kill(os.getpid(), self.number)

    class PoisonHook(Hook):
        """Make a weight not a number."""

        def __init__(self, point, iteration):
            setattr(self, point, self.poison)
            self.iteration = iteration

        def poison(self, runner, *args, **kwargs):
            if runner.iter == self.iteration:
                next(runner.model.parameters()).data.view(-1)[0] = float('nan')

    class LimitHook(Hook):
        """Allow no more than so many bytes in a file, as a full disk does, from an iteration on."""

        def __init__(self, iteration, size):
            self.iteration, self.size = iteration, size

        def before_train_iter(self, runner, *args, **kwargs):
            if runner.iter == self.iteration:
                resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    for hook in (SignalHook, PoisonHook, LimitHook):
        HOOKS.register_module(module=hook)
    yield
    for hook in (SignalHook, PoisonHook, LimitHook):
        HOOKS.module_dict.pop(hook.__name__)


def signal_at(point, iteration, number=signal.SIGTERM):
    """Config of a hook that sends a signal."""
    return dict(type='mvit3_bench.SignalHook', point=point, iteration=iteration, number=int(number))


def files(folder) -> set[str]:
    """Names of the files in a work dir, hidden ones too."""
    return {path.name for path in Path(folder).iterdir() if path.is_file()}


@pytest.mark.parametrize('task', [
    pytest.param(name, marks=[pytest.mark.slow] if name == 'v2 type' else []) for name in CONFIGS])
def test_stopped_within_an_epoch(train, whole, task):
    """SIGTERM in the second epoch: exit code 75, a checkpoint of this iteration; resumed, all ends in the same bits."""
    undisturbed = whole(task)
    total = undisturbed['place']['iter']
    outcome = train(task, 'parts', hook=signal_at('before_train_iter', total - 2))
    assert outcome.code == EXIT_CODE, outcome.output
    saved = f'epoch_1_iter_{total - 1}.pth'
    assert saved in files('parts') and saved in Path('parts/last_checkpoint').read_text()
    assert 'stopped by SIGTERM' in outcome.output and saved in outcome.output and '--resume' in outcome.output

    outcome = train(task, 'parts', '--resume')
    assert outcome.code == 0, outcome.output
    assert unequal(undisturbed, outcome_of(Path('parts'))) == []
    assert {name for name in files('parts') if name.startswith('epoch')} == {'epoch_1.pth', 'epoch_2.pth'}


@pytest.mark.slow
@pytest.mark.parametrize('point, iteration, saved', [
    ('after_train_epoch', 3, 'epoch_1.pth'), ('before_val_iter', 3, 'epoch_1.pth'), ('before_val_iter', 6, 'epoch_2.pth'),
    ('after_val_epoch', 6, 'epoch_2.pth')])
def test_stopped_between_epochs(train, whole, point, iteration, saved):
    """At the end of an epoch, or in a validation: resumed, the validation takes place, and all ends in the same bits."""
    undisturbed = whole('detection')
    outcome = train('detection', 'parts', hook=signal_at(point, iteration, signal.SIGINT))
    assert outcome.code == EXIT_CODE, outcome.output
    assert saved in Path('parts/last_checkpoint').read_text()
    outcome = train('detection', 'parts', '--resume')
    assert outcome.code == 0, outcome.output
    assert unequal(undisturbed, outcome_of(Path('parts'))) == []


@pytest.mark.slow
def test_stopped_in_a_validation_of_an_epoch_without_checkpoint(train, whole):
    """With checkpoints of every second epoch only, one is written on the signal, of the weights that are trained."""
    undisturbed = whole('segmentation')
    options = [SEED, 'default_hooks.checkpoint.interval=2']
    assert train('segmentation', 'parts', hook=signal_at('before_val_iter', 3), options=options).code == EXIT_CODE
    assert {name for name in files('parts') if name.endswith('.pth')} == {'epoch_1_iter_3.pth'}
    assert train('segmentation', 'parts', '--resume', options=options).code == 0
    assert unequal(undisturbed, outcome_of(Path('parts'))) == []


@pytest.mark.slow
def test_seed_comes_from_the_checkpoint(train, whole):
    """A run without a seed draws one; resumed, it takes up that one, the order of the samples included."""
    assert train('classification', 'parts', hook=signal_at('before_train_iter', 2), options=()).code == EXIT_CODE
    assert train('classification', 'parts', '--resume', options=()).code == 0
    seed = torch.load(Path('parts/last_checkpoint').read_text(), weights_only=True)['meta']['seed']
    undisturbed = whole('classification', options=[f'randomness.seed={seed}'])
    assert unequal(undisturbed, outcome_of(Path('parts'))) == []


@pytest.mark.slow
def test_accumulated_gradients(train, whole):
    """Gradients summed over two iterations: the stop waits for the step, a checkpoint at an epoch's end keeps the sum."""
    undisturbed = whole('segmentation', '--accumulate', '2')
    outcome = train('segmentation', 'parts', '--accumulate', '2', hook=signal_at('before_train_iter', 0))
    assert outcome.code == EXIT_CODE and 'epoch_0_iter_2.pth' in outcome.output
    assert train('segmentation', 'parts', '--resume', '--accumulate', '2',
                 hook=signal_at('before_val_iter', 3)).code == EXIT_CODE
    assert 'gradients' in torch.load('parts/epoch_1.pth', weights_only=True)
    assert train('segmentation', 'parts', '--resume', '--accumulate', '2').code == 0
    assert unequal(undisturbed, outcome_of(Path('parts'))) == []


@pytest.mark.slow
def test_checkpoints_by_the_clock(train, whole):
    """Within an epoch, one is written when the time has come, and replaced by the next; the end is the same."""
    undisturbed = whole('detection')
    options = [SEED, 'default_hooks.checkpoint.every_minutes=1e-9']
    outcome = train('detection', 'clock', options=options, hook=signal_at('before_train_iter', 4, signal.SIGINT))
    assert outcome.code == EXIT_CODE
    assert {name for name in files('clock') if '_iter_' in name} == {'epoch_1_iter_5.pth'}
    assert train('detection', 'clock', '--resume', options=options).code == 0
    assert unequal(undisturbed, outcome_of(Path('clock'))) == []


@pytest.mark.slow
def test_another_number_of_batches(train):
    """Resumed with another batch size, the rest of the epoch is what has not been seen, and a warning says it."""
    assert train('detection', 'run', hook=signal_at('before_train_iter', 4)).code == EXIT_CODE
    outcome = train('detection', 'run', '--resume', options=[SEED, 'train_dataloader.batch_size=3'])
    assert outcome.code == 0 and 'an epoch has 2 batches, of which 1 count as done' in outcome.output
    assert torch.load('run/epoch_2.pth', weights_only=True)['meta']['iter'] == 5 + 1


def test_full_disk(train, run_dir):
    """No room for a checkpoint: the message names file and free space; what was there stays whole, and no part is left."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        outcome = train('detection', 'run', hook=dict(type='mvit3_bench.LimitHook', iteration=5, size=1_000_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert outcome.code == 1 and 'Traceback' not in outcome.output
    message = outcome.output[outcome.output.rindex('error: '):]
    for part in ('cannot write', 'epoch_2.pth', 'MB are free', str(run_dir / 'run')):
        assert part in message
    assert files('run') == {'config.py', 'last_checkpoint', 'epoch_1.pth', 'best_coco_bbox_mAP_epoch_1.pth'}
    assert outcome_of(Path('run'))['place']['epoch'] == 1
    assert train('detection', 'run', '--resume').code == 0


def test_loss_not_a_number(train):
    """The training ends with what is known, and is never saved; the last good checkpoint is named."""
    outcome = train('detection', 'run', hook=dict(type='mvit3_bench.PoisonHook', point='before_train_iter', iteration=4))
    assert outcome.code == 1 and 'Traceback' not in outcome.output
    message = outcome.output[outcome.output.rindex('error: '):]
    for part in ('epoch 2, iteration 2 (5 in all)', 'loss_cls nan', 'lr ', 'images: ', 'train2017', 'epoch_1.pth',
                 '--resume', 'optim_wrapper.optimizer.lr'):
        assert part in message, message
    assert message.count('.jpg') == 2
    assert 'epoch_2.pth' not in files('run') and 'epoch_1.pth' in Path('run/last_checkpoint').read_text()


@pytest.mark.slow
def test_weight_not_a_number(train):
    """Weights that are not finite are not saved, whatever the loss was."""
    outcome = train('detection', 'run', hook=dict(type='mvit3_bench.PoisonHook', point='after_train_iter', iteration=5))
    assert outcome.code == 1 and 'Traceback' not in outcome.output
    assert 'not finite after iteration 6; not saved' in outcome.output
    assert 'epoch_2.pth' not in files('run') and 'epoch_1.pth' in Path('run/last_checkpoint').read_text()


@pytest.mark.slow
def test_unfinished_files_are_removed(train):
    """What a process killed while writing leaves is removed by the next training in the folder, and the log says so."""
    Path('run').mkdir()
    Path('run/.epoch_9.pth.123.part').write_bytes(b'half')
    outcome = train('detection', 'run', options=[SEED, 'train_cfg.max_epochs=1'])
    assert outcome.code == 0 and '.epoch_9.pth.123.part' in outcome.output
    assert '.epoch_9.pth.123.part' not in files('run')


def begin(run_dir, *options, **kwargs):
    """Start a training as a process, and wait for its first iteration: the process, and the file that has its output."""
    output = run_dir / 'output.txt'
    with output.open('w') as file:
        process = conftest.start('train', CONFIGS['detection'], '--mini', '--work-dir', 'run', '--cfg-options', *SHORT,
                                 *IMAGES['detection'], SEED, 'train_cfg.max_epochs=1000', *options, stdout=file, **kwargs)
    deadline = time.monotonic() + 120
    while 'Epoch(train)' not in output.read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    return process, output


@pytest.mark.slow
def test_signal_to_the_whole_group(run_dir):
    """A launcher signals workers too: they live until the training has saved."""
    process, output = begin(run_dir, 'train_dataloader.num_workers=2', 'train_dataloader.persistent_workers=True',
                            'val_dataloader.num_workers=1', start_new_session=True)
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(60) == EXIT_CODE, output.read_text()
    assert outcome_of(run_dir / 'run')['place']['iter'] > 0


@pytest.mark.slow
def test_several_processes(run_dir):
    """A launcher that is stopped lets all processes stop after one iteration; resumed, they end in the same bits."""
    def torchrun(folder, *flags):
        output = (run_dir / f'{folder}.txt').open('a')
        return subprocess.Popen(
            [sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node=2', f'--master_port={free_port()}',
             str(conftest.ROOT / 'tools' / 'train.py'), str(CONFIGS['classification']), '--mini', '--launcher', 'pytorch',
             '--work-dir', folder, *flags,
             '--cfg-options', *SHORT, *IMAGES['classification'], SEED, 'train_cfg.max_epochs=3'],
            stdout=output, stderr=output, env=dict(os.environ, PYTHONPATH=str(conftest.ROOT)))

    assert torchrun('whole').wait() == 0, (run_dir / 'whole.txt').read_text()
    process = torchrun('parts')
    while 'Epoch(train)' not in (run_dir / 'parts.txt').read_text():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 1
    assert 'stopped by SIGTERM' in (run_dir / 'parts.txt').read_text(), (run_dir / 'parts.txt').read_text()
    assert torchrun('parts', '--resume').wait() == 0, (run_dir / 'parts.txt').read_text()
    assert unequal(outcome_of(run_dir / 'whole'), outcome_of(run_dir / 'parts')) == []


def test_second_interrupt_ends_at_once():
    """One Ctrl-C waits for the end of the iteration, two do not."""
    code = ('import time; from types import SimpleNamespace as Part\n'
            'from mvit3_bench.engine.hooks.preemption import PreemptionHook\n'
            'PreemptionHook().before_train(Part(train_loop=Part(dataloader=Part(worker_init_fn=None)), val_loop=None))\n'
            'print("ready", flush=True); time.sleep(60)')
    process = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               env=dict(os.environ, PYTHONPATH=str(conftest.ROOT)))
    while process.stdout.readline() != 'ready\n':
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline().startswith('SIGINT: stopping after this iteration') and process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == -signal.SIGINT


@pytest.fixture
def amp(monkeypatch):
    """Mixed precision on a CPU, which MMEngine offers on GPUs only: options, of a given first scale of the loss."""
    module = 'mmengine.optim.optimizer.amp_optimizer_wrapper'
    monkeypatch.setattr(f'{module}.is_cuda_available', lambda: True)
    monkeypatch.setattr(f'{module}.GradScaler', functools.partial(torch.amp.GradScaler, 'cpu', growth_interval=2))
    return lambda scale: [SEED, 'optim_wrapper.type=AmpOptimWrapper', 'optim_wrapper.dtype=bfloat16',
                          f'optim_wrapper.loss_scale.init_scale={scale}']


@pytest.mark.slow
def test_loss_scale(train, whole, amp):
    """The scale of the loss goes on where it was."""
    undisturbed = whole('segmentation', options=amp(8.))
    assert train('segmentation', 'parts', options=amp(8.), hook=signal_at('before_train_iter', 3)).code == EXIT_CODE
    assert train('segmentation', 'parts', '--resume', options=amp(8.)).code == 0
    assert undisturbed['optimizer']['loss_scaler']['scale'] == 64  # doubled in every second iteration
    assert unequal(undisturbed, outcome_of(Path('parts'))) == []


@pytest.mark.slow
def test_skipped_step_is_no_divergence(train, amp):
    """With too large a scale the gradients are infinite, but the loss is not: the step is left out, and training goes on."""
    outcome = train('segmentation', 'run', options=amp(3e38))
    assert outcome.code == 0, outcome.output
    end = outcome_of(Path('run'))
    assert 0 < end['optimizer']['state'][0]['step'] < end['place']['iter']


def test_amp_without_gpu(train):
    """Where there is no GPU, --amp is refused without a traceback."""
    outcome = train('segmentation', 'run', '--amp')
    assert outcome.code == 1 and 'error: --amp needs a GPU' in outcome.output and 'Traceback' not in outcome.output


@pytest.mark.slow
def test_kills():
    """Trainings of the three tasks, killed at random moments and resumed until they end, with and without workers."""
    with tempfile.TemporaryDirectory() as folder:
        found = list(faults(Path(folder), 9, seed=0))
    assert len(found) == 9 and {fault.outcome for fault in found} == {'survived'}, found


def test_all_configs():
    """Every config has the loop and the hooks, and its checkpoint hook keeps what the task adds to it."""
    for path in conftest.CONFIGS:
        cfg = Config.fromfile(path)
        assert cfg.train_cfg.type == 'mvit3_bench.ResumableTrainLoop', path
        hooks = cfg.default_hooks
        assert [hooks[name].type for name in ('checkpoint', 'finite', 'stop')] == [
            'mvit3_bench.CheckpointHook', 'mvit3_bench.CheckInvalidLossHook', 'mvit3_bench.PreemptionHook'], path
        assert hooks.checkpoint.save_best and hooks.checkpoint.max_keep_ckpts == 2, path


def test_difference_is_found():
    """What the comparison of two trainings rests on tells one bit, a missing part and another type."""
    def tree(**changes):
        return dict(dict(weight=torch.tensor([1.0, 2.0]), groups=[dict(lr=0.1)], steps=3), **changes)

    assert unequal(tree(), tree()) == []
    assert unequal(tree(), tree(weight=torch.tensor([1.0, 2.0 + 2**-22]))) == ['weight']
    assert unequal(tree(), tree(groups=[dict(lr=0.1 + 1e-18)])) == [] and unequal(tree(), tree(groups=[])) == ['groups']
    assert unequal(tree(), tree(groups=[dict(lr=0.1 + 2e-17)])) == ['groups.0.lr']
    assert unequal(tree(), tree(steps=3.0)) == ['steps'] and unequal(tree(), dict(steps=3)) == ['']
