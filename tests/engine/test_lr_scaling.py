"""Accumulated gradients where a loop counts iterations, and averages however they are named."""
import inspect
import warnings

import pytest
import torch
from conftest import ROOT, short
from mmengine.config import Config, ConfigDict
from mmengine.registry import PARAM_SCHEDULERS

import mvit3_bench.compat  # noqa: F401  before mmdet
from mvit3_bench.engine.hooks.ema import EMAHook
from mvit3_bench.engine.lr_scaling import COUNTS, OTHERS, accumulate, is_average
from mvit3_bench.results.curves import entries_of


def by_iterations(**options) -> Config:
    """The schedule of mmseg's configs of 160,000 iterations."""
    return Config(dict(
        train_dataloader=dict(batch_size=4), optim_wrapper=dict(),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=160000, val_interval=16000),
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=16000)),
        param_scheduler=[dict(type='PolyLR', power=0.9, begin=0, end=160000, by_epoch=False),
                         dict(type='MultiStepLR', milestones=[100000, 140000], by_epoch=False),
                         dict(type='StepLR', step_size=1000, by_epoch=False),
                         dict(type='CosineAnnealingLR', T_max=160000, by_epoch=False),
                         dict(type='MultiStepLR', milestones=[8, 11], by_epoch=True)],
        custom_hooks=[dict(type='mmengine.EMAHook', interval=3)]) | options)


def test_all_that_counts_iterations():
    """A step of the optimiser takes N iterations: lengths, intervals and schedules are N times as long."""
    cfg = by_iterations()
    accumulate(cfg, '4', processes=1)
    assert (cfg.train_cfg.max_iters, cfg.train_cfg.val_interval) == (640000, 64000)
    assert cfg.default_hooks.checkpoint.interval == 64000
    poly, steps, step, cosine, epochs = cfg.param_scheduler
    assert (poly.end, list(steps.milestones), step.step_size, cosine.T_max) == (640000, [400000, 560000], 4000, 640000)
    assert list(epochs.milestones) == [8, 11]
    assert cfg.custom_hooks[0].interval == 12


@pytest.mark.parametrize('schedule', [None, dict(type='PolyLR', begin=0, end=1000, by_epoch=False)], ids=['none', 'a dict'])
def test_form_of_the_schedule(schedule):
    """There may be none, or one that stands alone."""
    cfg = by_iterations(param_scheduler=schedule)
    accumulate(cfg, '2', processes=1)
    assert schedule is None or cfg.param_scheduler.end == 2000


@pytest.mark.parametrize('kind', ['EMAHook', 'mmengine.EMAHook', 'mvit3_bench.EMAHook', EMAHook])
def test_averages(kind):
    assert is_average(ConfigDict(type=kind)) and not is_average(ConfigDict(type='mmengine.LoggerHook'))


STEPS, N = 24, 4
SCHEDULES = dict(
    ConstantLR=dict(factor=0.5, begin=3, end=10), CosineAnnealingLR=dict(T_max=STEPS, eta_min=0.01),
    ExponentialLR=dict(gamma=0.9), LinearLR=dict(start_factor=0.1, begin=0, end=12),
    MultiStepLR=dict(milestones=[8, 16], gamma=0.5), OneCycleLR=dict(eta_max=1.0, total_steps=STEPS),
    PolyLR=dict(power=0.9, begin=0, end=STEPS), StepLR=dict(step_size=7, gamma=0.5),
    CosineRestartLR=dict(periods=[10, 14], restart_weights=[1, 0.5], eta_min=0.01))
SCHEDULES |= {'mmdet.QuadraticWarmupLR': dict(begin=0, end=12), 'mmseg.PolyLRRatio': dict(eta_min_ratio=0.1, end=STEPS)}


def rates(scheduler: dict, iterations: int) -> list[float]:
    """The learning rate of each iteration."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        built, found = PARAM_SCHEDULERS.build(dict(scheduler), default_args=dict(optimizer=optimizer)), []
        for _ in range(iterations):
            found.append(optimizer.param_groups[0]['lr'])
            optimizer.step()
            built.step()
    return found


@pytest.mark.parametrize('kind', SCHEDULES)
def test_rates(kind):
    """In each step of the optimiser the rate is that without accumulation, but for a step where the whole is longer."""
    import_of(kind)
    before = rates(dict(SCHEDULES[kind], type=kind, by_epoch=False), STEPS)
    cfg = by_iterations(param_scheduler=[dict(SCHEDULES[kind], type=kind, by_epoch=False)])
    accumulate(cfg, str(N), processes=1)
    after = rates(cfg.param_scheduler[0], N * STEPS)[::N]
    assert len({round(rate, 6) for rate in before}) > 1
    if kind in ('LinearLR', 'PolyLR', 'OneCycleLR', 'ConstantLR', *list(SCHEDULES)[-2:]):  # their ends count one step less
        neighbours = zip([before[0], *before[:-1]], before, [*before[1:], before[-1]], strict=True)
        assert all(min(near) - 0.01 <= rate <= max(near) + 0.01 for rate, near in zip(after, neighbours, strict=True))
    else:
        assert after == pytest.approx(before, rel=1e-9)


def import_of(kind: str) -> None:
    framework, _, name = kind.rpartition('.')
    if name == kind:
        return
    __import__(pytest.importorskip(framework).__name__ + '.engine')


def test_factor_of_an_iteration():
    """By epochs, too, if MMEngine converts them, since it takes the factor for one of an iteration."""
    cfg = by_iterations(param_scheduler=[dict(type='ExponentialLR', gamma=0.5, convert_to_iter_based=True),
                                         dict(type='ExponentialLR', gamma=0.5)])
    accumulate(cfg, '2', processes=1)
    assert [each.gamma for each in cfg.param_scheduler] == [0.5**0.5, 0.5]


def test_all_arguments_are_known():
    """Those of every scheduler that goes by iterations."""
    for framework in ('mmdet', 'mmseg', 'mmpretrain'):
        pytest.importorskip(f'{framework}.engine', reason=f'{framework} is not installed')
    kinds = [*PARAM_SCHEDULERS.module_dict.values(),
             *(kind for child in PARAM_SCHEDULERS.children.values() for kind in child.module_dict.values())]
    assert len(kinds) > 20
    for kind in kinds:
        if getattr(kind, 'need_val_args', False):  # by epochs only
            continue
        names = {name for base in inspect.getmro(kind)[:-1] if '__init__' in vars(base)
                 for name in inspect.signature(base.__init__).parameters}
        assert names - {'self', 'optimizer', 'args', 'kwargs', 'epoch_length'} <= OTHERS | set(COUNTS), kind


def test_unknown_arguments():
    """A scheduler of the user's own may count iterations by any name."""
    cfg = by_iterations(param_scheduler=dict(type='MineLR', hold_iters=100, by_epoch=False))
    with pytest.raises(ValueError, match='hold_iters of MineLR'):
        accumulate(cfg, '2', processes=1)


def test_auto_scale_lr(run_dir, tool):
    """`--auto-scale-lr` trains with the rate that belongs to the batch: a quarter of the images, a quarter of the rate."""
    pytest.importorskip('mmpretrain')
    config = ROOT / 'configs/cls/mvit3_0.5_384_in1k.py'  # of a constant rate
    outcome = tool('train', config, '--mini', '--auto-scale-lr', '--work-dir', 'work', '--cfg-options',
                   *short(config), 'default_hooks.logger.interval=1', 'auto_scale_lr.base_batch_size=16')
    assert outcome.code == 0, outcome.output
    file, = run_dir.glob('work/*/vis_data/scalars.json')
    assert {entry['lr'] for entry in entries_of(file) if 'loss' in entry} == {1e-3 / 4}
