"""DeepLabv3 with MobileViTv3-XXS on CamVid (11 classes) at 256x192: the segmentation of the studies, for any backbone.

No row of the paper. The data: docs/small_data.md. A suite starts it from the weights of `study/cifar10`: docs/suite.md.

    python tools/train.py configs/study/camvid.py --cfg-options model.backbone.init_cfg.type=Pretrained \
        model.backbone.init_cfg.checkpoint=FILE model.backbone.init_cfg.prefix=backbone.
"""
_base_ = [
    '../_base_/models/deeplabv3_v1type_os16.py', '../_base_/datasets/camvid_256x192.py', '../_base_/schedules/adamw_study.py',
    '../_base_/runtime_seg.py']
crop_size = {{_base_.crop_size}}
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(arch='xxs'),
    decode_head=dict(in_channels=128, num_classes=11))
auto_scale_lr = dict(enable=False, base_batch_size=8)
# a horizon of 100 iterations instead of 2000
custom_hooks = [
    dict(type='mvit3_bench.EMAHook', ema_type='ExponentialMovingAverage', momentum=0.01, update_buffers=True)]
