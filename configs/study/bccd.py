"""SSDLite with MobileViTv3-XXS on BCCD (blood cells of 3 classes): the detection of the studies, for any backbone.

No row of the paper. The data: docs/small_data.md. A suite starts it from the weights of `study/cifar10`: docs/suite.md.

    python tools/train.py configs/study/bccd.py --cfg-options model.backbone.init_cfg.type=Pretrained \
        model.backbone.init_cfg.checkpoint=FILE model.backbone.init_cfg.prefix=backbone.
"""
_base_ = [
    '../_base_/models/ssdlite_v1type.py', '../_base_/datasets/bccd.py', '../_base_/schedules/adamw_study.py',
    '../_base_/runtime_det.py']
model = dict(
    backbone=dict(arch='xxs'),
    neck=dict(in_channels=(80, 128)),
    bbox_head=dict(num_classes=3),
    test_cfg=dict(_delete_=True, score_thr=0.01, max_per_class=400, nms=dict(iou_threshold=0.5), max_per_img=200))
auto_scale_lr = dict(enable=False, base_batch_size=8)
# a horizon of 100 iterations instead of 2000
custom_hooks = [
    dict(type='mvit3_bench.EMAHook', ema_type='ExponentialMovingAverage', momentum=0.01, update_buffers=True)]
