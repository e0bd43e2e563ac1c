"""Runtime of all configs: logs and checkpoints by epoch, EMA as published. One file for each task adds what is its own."""
# what the released packages need on today's torch and without mmcv's compiled operators
custom_imports = dict(imports=['mvit3_bench.compat'], allow_failed_imports=False)
env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl', timeout=600))  # seconds until a process gives up on another that hangs
sync_bn = 'torch'  # batch norms are synchronised in distributed training, as in the published logs of the v2 type

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='mvit3_bench.CheckpointHook', interval=1, max_keep_ckpts=2),
    finite=dict(type='mvit3_bench.CheckInvalidLossHook'),
    stop=dict(type='mvit3_bench.PreemptionHook'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    samples=dict(type='mvit3_bench.CheckSamplesHook'),
    record=dict(type='mvit3_bench.RunInfoHook'))
custom_hooks = [
    dict(type='mvit3_bench.EMAHook', ema_type='ExponentialMovingAverage', momentum=5e-4, update_buffers=True)]

log_processor = dict(by_epoch=True)
log_level = 'INFO'
load_from = None
resume = False

val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
