"""Accumulated gradients where a loop counts iterations, and averages however they are named."""
import pytest
from mmengine.config import Config, ConfigDict

from mvit3_bench.engine.hooks.ema import EMAHook
from mvit3_bench.engine.lr_scaling import accumulate, is_average


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
