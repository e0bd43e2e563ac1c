"""A run that goes on with another number of batches in an epoch follows the schedule of one that had it from the start."""
import json
from pathlib import Path

import conftest
import pytest
import torch
from test_resume import hooks, signal_at  # noqa: F401  a fixture that every test of this module has

pytest.importorskip('mmpretrain', reason='mmpretrain is not installed')

CONFIG = conftest.ROOT / 'configs' / 'cls' / 'mvit3_xxs_in1k.py'
EPOCHS, IMAGES = 4, 14
# schedules do not depend on the network: a small one
MODEL = dict(backbone=dict(_delete_=True, type='mmpretrain.ResNet', depth=18, stem_channels=4, base_channels=4),
             head=dict(in_channels=32))
PER_BATCH = {14: 1, 7: 2, 4: 4}  # batches in an epoch -> images in a batch


@pytest.fixture
def train(run_dir, tool, monkeypatch):
    """Train for four epochs: ``train('run', 7, warm_up=5)`` -> the rate at each iteration, the output.

    The classifier's rate is ten times the others'.
    """
    for module in ('mmengine.config.config', 'yapf.yapflib.yapf_api'):  # the layout of a config takes long
        monkeypatch.setattr(f'{module}.FormatCode', lambda text, **style: (text, True), raising=False)

    def call(folder, batches, *flags, warm_up=None, hook=None, code=0, options=(), schedule='',
             multi_scale=False):
        config = run_dir / 'config.py'
        config.write_text(f'_base_ = [{str(CONFIG)!r}]\nmodel = {MODEL!r}\n'
                          'optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(head=dict(lr_mult=10.0))))\n'
                          f'{schedule}\n'
                          + (f'custom_hooks = [*_base_.custom_hooks, {hook!r}]\n' if hook else ''))
        if warm_up:
            options = [f'param_scheduler.0.warmup_iters={warm_up}', f'param_scheduler.0.end={EPOCHS}', *options]
        known = {file: len(file.read_text().splitlines()) for file in Path(folder).glob('*/vis_data/scalars.json')}
        outcome = tool(
            'train', config, '--mini', '--work-dir', folder, *flags, '--cfg-options', 'randomness.seed=0',
            f'train_cfg.max_epochs={EPOCHS}', f'train_dataloader.dataset.indices={IMAGES}',
            f'train_dataloader.batch_size={PER_BATCH[batches]}',
            *([] if multi_scale else ['train_dataloader.batch_sampler=None',
                                      'train_dataloader.dataset.pipeline.0.type=Compose']),
            'val_cfg=None', 'val_dataloader=None', 'val_evaluator=None',
            'default_hooks.checkpoint.save_best=None', 'default_hooks.checkpoint.max_keep_ckpts=9',
            'default_hooks.logger.interval=1', *options)
        assert outcome.code == code, outcome.output
        # the folder is named by the second: a resumed run may write into that of the first
        lines = [line for file in Path(folder).glob('*/vis_data/scalars.json')
                 for line in file.read_text().splitlines()[known.get(file, 0):]]
        return [json.loads(line)['lr'] for line in lines], outcome.output
    return call


def end_of(folder: str) -> list[float]:
    """The rates of all groups of parameters after the last iteration."""
    groups = torch.load(f'{folder}/epoch_{EPOCHS}.pth', weights_only=True)['optimizer']['param_groups']
    return [group['lr'] for group in groups]


@pytest.mark.parametrize('before, after, epochs, warm_ups', [
    (7, 14, 2, (3, 3)),    # more batches, as on fewer GPUs
    pytest.param(14, 4, 3, (3, 3), marks=pytest.mark.slow),    # fewer
    (7, 14, 1, (9, 18)),   # within a warm-up that lasts as many steps of the optimiser
    pytest.param(14, 7, 1, (20, 10), marks=pytest.mark.slow),
    pytest.param(7, 14, 1, (9, 9), marks=pytest.mark.slow)])   # or as many iterations
def test_from_the_end_of_an_epoch(train, before, after, epochs, warm_ups):
    """The rate is that of an uninterrupted run with the new number of batches, at each iteration and in each group.

    Those marked slow are the same the other way round.
    """
    train('before', before, warm_up=warm_ups[0])
    whole, _ = train('whole', after, warm_up=warm_ups[1])
    rates, output = train('after', after, '--resume', f'before/epoch_{epochs}.pth', warm_up=warm_ups[1])
    assert len(rates) == (EPOCHS - epochs) * after
    assert rates == pytest.approx(whole[epochs * after:], rel=1e-9)
    assert end_of('after') == pytest.approx(end_of('whole'), rel=1e-9)
    assert max(end_of('after')) == pytest.approx(10 * min(end_of('after')))
    assert (f'an epoch has {after} batches, of which 0 count as done: in the run that wrote the checkpoint it was '
            f'0 of {before}; the schedule goes on') in output


def test_from_within_an_epoch(train):
    """The same share of the epoch counts as done, and the rate is the one that belongs there."""
    train('run', 14, warm_up=3, hook=signal_at('after_train_iter', 14 + 8), code=75)
    whole, _ = train('whole', 7, warm_up=3)
    rates, output = train('run', 7, '--resume', warm_up=3)
    assert '7 batches, of which 4 count as done: in the run that wrote the checkpoint it was 9 of 14' in output
    assert rates == pytest.approx(whole[7 + 4:], rel=1e-9) and end_of('run') == pytest.approx(end_of('whole'), rel=1e-9)


def test_epochs_of_different_length(train):
    """Of multi-scale batches each epoch has its own number: the same share of it counts as done, and the rate is right."""
    before, after = (10, 12, 11, 13), (6, 7, 5, 7)  # batches in each epoch, of 1 and 2 images at the base size
    whole, _ = train('whole', 7, warm_up=9, multi_scale=True)
    train('run', 14, warm_up=9, hook=signal_at('after_train_iter', before[0] + 5), code=75, multi_scale=True)
    rates, output = train('run', 7, '--resume', warm_up=9, multi_scale=True)
    assert len(whole) == sum(after) and f'{after[1]} batches, of which 3 count as done' in output and '6 of 12' in output
    assert rates == pytest.approx(whole[after[0] + 3:], rel=1e-9)
    assert end_of('run') == pytest.approx(end_of('whole'), rel=1e-9)


@pytest.mark.slow
def test_schedule_by_epochs(train):
    """A schedule that counts epochs goes on as it is, and so does an optimiser without any (slow: a variant)."""
    by_epoch = "param_scheduler = [dict(type='CosineAnnealingLR', T_max=40)]"  # of 300 epochs, which --mini makes 30
    train('before', 7, schedule=by_epoch)
    rates, _ = train('after', 4, '--resume', 'before/epoch_2.pth', schedule=by_epoch)
    whole, _ = train('whole', 4, schedule=by_epoch)
    assert len(set(rates)) == 2 and rates == pytest.approx(whole[8:], rel=1e-9)
    rates, _ = train('none', 4, '--resume', 'before/epoch_2.pth', options=['param_scheduler=None'])
    assert len(set(rates)) == 1


def test_another_number_of_epochs(train):
    """More epochs than the checkpoint was written for do not stretch the schedule, and the log says so."""
    train('run', 4, warm_up=3, hook=signal_at('after_train_epoch', 8), code=75)
    rates, output = train('run', 4, '--resume', warm_up=3, options=['train_cfg.max_epochs=6'])
    assert 'train_cfg.max_epochs is 6, and was 4 in the run that wrote the checkpoint' in output
    assert len(rates) == 16 and len(set(rates[8:])) == 1


def test_another_number_of_epochs_and_batches(train):
    """Carried over, the schedule is that of the config, and the log says so."""
    longer = ['train_cfg.max_epochs=6', 'param_scheduler.0.end=6']
    train('run', 4, warm_up=3, hook=signal_at('after_train_epoch', 8), code=75)
    rates, output = train('run', 7, '--resume', warm_up=3, options=longer)
    assert 'train_cfg.max_epochs is 6, and was 4' in output and 'it is the schedule of this config from here on' in output
    whole, _ = train('whole', 7, warm_up=3, options=longer)
    assert rates == pytest.approx(whole[-len(rates):], rel=1e-9)


def test_fewer_batches_accumulated(train):
    """Where more iterations are done than the whole run now has, gradients are accumulated; so again, resumed once more."""
    train('before', 14, '--accumulate', '4', warm_up=12)
    whole, _ = train('whole', 7, '--accumulate', '2', warm_up=6)
    for folder, checkpoint in dict(after='before/epoch_2.pth', again='after/epoch_3.pth').items():
        rates, _ = train(folder, 7, '--resume', checkpoint, '--accumulate', '2', warm_up=6)
        assert rates == pytest.approx(whole[-len(rates):], rel=1e-9)


@pytest.mark.parametrize('batches, iterations', [(1000, 300), (500, 900), (500, 2700)])
def test_mixed_schedule(batches, iterations):
    """A warm-up in iterations beside steps by epochs, as in mmdetection's schedules: each rate is that of a whole run."""
    from mmengine.optim import LinearLR, MultiStepLR

    from mvit3_bench.engine.resuming import remap_scheduler_state, set_values

    def built():
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
        return optimizer, [LinearLR(optimizer, 0.001, by_epoch=False, begin=0, end=1000),
                           MultiStepLR(optimizer, milestones=[3, 5], by_epoch=True)]

    def train(optimizer, schedulers, first):
        rates = []
        for iteration in range(first, 6 * batches):
            optimizer.step()
            rates.append(optimizer.param_groups[0]['lr'])
            schedulers[0].step()
            if (iteration + 1) % batches == 0:
                schedulers[1].step()
        return rates

    whole, (optimizer, schedulers) = train(*built(), 0), built()
    states = remap_scheduler_state(schedulers, [each.state_dict() for each in schedulers],
                        [batches] * (iterations // batches + 1), iterations % batches)
    for scheduler, state in zip(schedulers, states, strict=True):
        scheduler.load_state_dict(state)
    set_values(schedulers)
    assert train(optimizer, schedulers, iterations) == pytest.approx(whole[iterations:], rel=1e-9)


def test_schedule_that_follows_a_metric():
    """What cannot be gone through is refused, not forgotten."""
    from mmengine.optim import ReduceOnPlateauLR

    from mvit3_bench.engine.resuming import remap_scheduler_state
    from mvit3_bench.errors import UsageError
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = ReduceOnPlateauLR(optimizer, monitor='accuracy/top1')
    with pytest.raises(UsageError, match='ReduceOnPlateauLR follows a metric'):
        remap_scheduler_state([scheduler], [scheduler.state_dict()], [7, 7], 0)
