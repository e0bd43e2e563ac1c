"""MobileViTv3-XXS on Imagenette (10 classes, 128x128, 750 images), from random weights in about half an hour of two CPU cores.

Not a row of the paper: a small real data set to try the suite on, and an example of one's own data. The measured top-1
stands in docs/results/.

    python tools/train.py configs/cls/mvit3_xxs_imagenette128.py
    python tools/test.py configs/cls/mvit3_xxs_imagenette128.py work_dirs/mvit3_xxs_imagenette128
"""
_base_ = ['../_base_/models/cls_v1type.py', '../_base_/datasets/imagenette128.py', '../_base_/runtime_cls.py']
model = dict(
    # as when the recorded result was measured
    backbone=dict(arch='xxs', drop_rate=0.1),
    head=dict(in_channels=512, num_classes=10, init_cfg=dict(type='Normal', layer='Linear', std=0.01)))

max_epochs = 200
train_cfg = dict(type='mvit3_bench.ResumableTrainLoop', max_epochs=max_epochs, val_interval=5)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.05, fused=True),
    clip_grad=dict(max_norm=10.0))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, begin=0, end=100, by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min_ratio=1e-3, begin=0, end=max_epochs, T_max=max_epochs, by_epoch=True,
         convert_to_iter_based=True)]
auto_scale_lr = dict(enable=False, base_batch_size=32)
# a horizon of 100 iterations instead of 2000, the whole run having some 4800
custom_hooks = [
    dict(type='EMAHook', ema_type='ExponentialMovingAverage', momentum=0.01, update_buffers=True)]
