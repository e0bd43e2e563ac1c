"""MobileViTv3-XXS on CIFAR-10 at 64x64, from random weights: the classification of the studies, for any backbone.

No row of the paper. The data: docs/small_data.md.

    python tools/train.py configs/study/cifar10.py
    python tools/train.py configs/study/cifar10.py --backbone timm/mobilenetv4_conv_small
"""
_base_ = [
    '../_base_/models/cls_v1type.py', '../_base_/datasets/cifar10.py', '../_base_/schedules/adamw_study.py',
    '../_base_/runtime_cls.py']
model = dict(
    backbone=dict(arch='xxs'),
    head=dict(in_channels=512, num_classes=10))
auto_scale_lr = dict(enable=False, base_batch_size=64)
# a horizon of 100 iterations instead of 2000
custom_hooks = [
    dict(type='mvit3_bench.EMAHook', ema_type='ExponentialMovingAverage', momentum=0.01, update_buffers=True)]
