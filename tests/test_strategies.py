"""MMEngine's strategies train as plain distributed training does, and what does not go together is an error."""
import json

import pytest
import torch
from conftest import ROOT
from processes import begin, fixed_recipe, flags, output, records

for name in ('mmdet', 'mmseg', 'mmpretrain'):
    pytest.importorskip(name, reason=f'{name} is not installed')
FSDP = ['runner_type=FlexibleRunner', 'strategy.type=mvit3_bench.FSDPStrategy', 'custom_hooks=[]']
# the lines of docs/distributed.md
DEEPSPEED = """
_base_ = ['{config}']
runner_type = 'FlexibleRunner'
strategy = dict(type='DeepSpeedStrategy', zero_optimization=dict(stage=1),
                config=dict(zero_allow_untested_optimizer=True, zero_force_ds_cpu_optimizer=False))
optim_wrapper = dict(type='DeepSpeedOptimWrapper')
custom_hooks = []
sync_bn = None
default_hooks = dict(
    _delete_=True,
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='CheckpointHook', interval=1, save_optimizer=False),
    finite=dict(type='mvit3_bench.FiniteLossHook'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    sync_buffers=dict(type='mvit3_bench.SyncBuffersHook'),
    samples=dict(type='mvit3_bench.CheckSamplesHook'),
    record=dict(type='mvit3_bench.RunRecordHook'))
"""


def train(config, folder: str, *options: str) -> str:
    """Train with two processes; what they printed."""
    return output(begin('dist_train.sh', config, 2, *flags('classification', 2), *options, '--work-dir', folder))


def losses(folder) -> list[float]:
    return [each['loss'] for each in records(folder)]


def same_weights(one, two):
    one, two = (torch.load(path, weights_only=True)['state_dict'] for path in (one, two))
    assert one.keys() == two.keys()
    for key, value in one.items():
        torch.testing.assert_close(two[key], value, rtol=1e-4, atol=1e-4, msg=lambda text, key=key: f'{key}: {text}')


@pytest.mark.slow
def test_fsdp_trains_as_ddp(run_dir, tool):
    """Equal losses and weights; its checkpoint is tested as any other, resumed to the bit, and by a plain run too.

    Slow: ten processes that import the frameworks.
    """
    config = fixed_recipe(run_dir, 'classification')
    train(config, 'ddp', 'custom_hooks=[]')
    train(config, 'fsdp', *FSDP)
    optimizer = torch.load(run_dir / 'fsdp' / 'epoch_2.pth', weights_only=True)['optimizer']
    assert 'backbone.stem.conv.weight' in optimizer['state']  # by names, as FSDP gathers it
    assert losses(run_dir / 'fsdp') == pytest.approx(losses(run_dir / 'ddp'), rel=1e-5)
    same_weights(run_dir / 'ddp' / 'epoch_2.pth', run_dir / 'fsdp' / 'epoch_2.pth')

    for folder, options in (('resumed', FSDP), ('plain', ['custom_hooks=[]'])):
        output(begin('dist_train.sh', config, 2, '--resume', 'fsdp/epoch_1.pth', *flags('classification', 2), *options,
                     '--work-dir', folder))
        assert losses(run_dir / folder) == losses(run_dir / 'fsdp')[3:]
    broken = begin('dist_train.sh', config, 2, '--resume', 'ddp/epoch_1.pth', *flags('classification', 2), *FSDP,
                   '--work-dir', 'broken')
    text, _ = broken.communicate(timeout=300)
    assert broken.returncode and 'error: the checkpoint was written by a run without FSDP' in text
    assert '[rank0]: Traceback' not in text

    metrics = []
    for run in ('ddp', 'fsdp'):
        outcome = tool('test', config, f'{run}/epoch_2.pth', '--mini', '--out', f'{run}_out')
        assert outcome.code == 0, outcome.output
        metrics.append(json.loads((run_dir / f'{run}_out' / 'metrics.json').read_text()))
    assert metrics[0] == metrics[1]


@pytest.mark.slow
def test_deepspeed_trains_as_ddp(run_dir, tool):
    """Equal weights without synchronised norms; its checkpoint is tested as any other.

    The losses logged are those of the first process, not of all.

    Slow: four processes that import the frameworks, and DeepSpeed compiles an operator first.
    """
    pytest.importorskip('deepspeed', reason='DeepSpeed is not installed')
    config = fixed_recipe(run_dir, 'classification')
    zero = run_dir / 'zero.py'
    zero.write_text(DEEPSPEED.format(config=config))
    train(config, 'ddp', 'custom_hooks=[]', 'sync_bn=None')
    train(zero, 'zero')
    same_weights(run_dir / 'ddp' / 'epoch_2.pth', run_dir / 'zero' / 'epoch_2.pth')
    outcome = tool('test', zero, 'zero/epoch_2.pth', '--mini')
    assert outcome.code == 0, outcome.output


@pytest.mark.parametrize('options, parts', [
    (['strategy.type=DDPStrategy'], ('DDPStrategy', 'without runner_type')),
    (['runner_type=Runner'], ('runner_type=Runner', 'FlexibleRunner')),
    ([], ('EMAHook', 'custom_hooks=[]')),
    (['optim_wrapper.clip_grad.max_norm=10', 'custom_hooks=[]'], ('clip_grad', 'None')),
    (['strategy.state_dict_cfg=local', 'custom_hooks=[]'], ('state_dict_cfg',)),
    (['strategy.type=DeepSpeedStrategy', 'custom_hooks=[]'], ('mvit3_bench.CheckpointHook', 'docs/distributed.md'))])
def test_what_does_not_go_together(run_dir, tool, monkeypatch, options, parts):
    """A strategy that would train something else, or whose checkpoints could not be read, is refused before the start."""
    monkeypatch.setattr('mvit3_bench.engine.cli.distribute', lambda cfg, launcher: cfg.update(launcher='pytorch'))
    outcome = tool('train', ROOT / 'configs' / 'cls' / 'mvit3_xxs_in1k.py', '--mini', '--cfg-options', *FSDP[:2], *options)
    assert outcome.code == 1 and 'Traceback' not in outcome.output
    assert all(part in outcome.output for part in ('error: ', *parts)), outcome.output


def test_needs_a_launcher(run_dir, tool):
    """FSDP shards over the processes of a launcher: without one, the message names it."""
    outcome = tool('train', ROOT / 'configs' / 'cls' / 'mvit3_xxs_in1k.py', '--mini', '--cfg-options', *FSDP)
    assert outcome.code == 1 and 'dist_train.sh' in outcome.output and 'Traceback' not in outcome.output
