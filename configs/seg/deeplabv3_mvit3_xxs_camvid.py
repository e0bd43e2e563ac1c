"""DeepLabv3 with MobileViTv3-XXS on CamVid (11 classes, 480x360), from random weights in about an hour of two CPU cores.

Not a row of the paper: a small real data set to try the suite on, and an example of one's own data. The measured test mIoU
stands in docs/results/.

    python tools/train.py configs/seg/deeplabv3_mvit3_xxs_camvid.py
    python tools/test.py configs/seg/deeplabv3_mvit3_xxs_camvid.py work_dirs/deeplabv3_mvit3_xxs_camvid
"""
_base_ = ['../_base_/models/deeplabv3_v1type_os16.py', '../_base_/datasets/camvid.py', '../_base_/runtime_seg.py']
crop_size = {{_base_.crop_size}}
head_init_cfg = dict(type='Normal', std=0.01, override=dict(name='conv_seg'))
model = dict(
    type='EncoderDecoder',  # mmseg's own, which resizes logits bilinearly
    data_preprocessor=dict(size=crop_size),
    # as when the recorded result was measured
    init_cfg=None,
    backbone=dict(arch='xxs', drop_rate=0.1),
    decode_head=dict(in_channels=128, num_classes=11, aspp_drop_rate=0.0, init_cfg=head_init_cfg),
    test_cfg=dict(_delete_=True, mode='whole'))

max_epochs = 45
train_cfg = dict(type='mvit3_bench.ResumableTrainLoop', max_epochs=max_epochs, val_interval=5)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.01, fused=True),
    clip_grad=dict(max_norm=10.0))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, begin=0, end=100, by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min_ratio=1e-3, begin=0, end=max_epochs, T_max=max_epochs, by_epoch=True,
         convert_to_iter_based=True)]
auto_scale_lr = dict(enable=False, base_batch_size=8)
# a horizon of 100 iterations instead of 2000, the whole run having some 2100
custom_hooks = [
    dict(type='EMAHook', ema_type='ExponentialMovingAverage', momentum=0.01, update_buffers=True)]
