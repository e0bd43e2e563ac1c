"""The published fine-tuning of the v2 type at 384x384: no mixup or cutmix, and a slower average of the weights.

A leaf config adds the arch and the channel number.
"""
_base_ = ['models/cls_v2type.py', 'datasets/imagenet_384.py', 'schedules/sgd_10e_b128.py', 'runtime_cls.py']
model = dict(train_cfg=dict(_delete_=True))
custom_hooks = [
    dict(type='mvit3_bench.EMAHook', ema_type='ExponentialMovingAverage', momentum=5e-5, update_buffers=True)]
