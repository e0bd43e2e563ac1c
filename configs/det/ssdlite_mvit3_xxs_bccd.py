"""SSDLite with MobileViTv3-XXS on BCCD (blood cells of 3 classes), from random weights in about an hour of two CPU cores.

Not a row of the paper: a small real data set to try the suite on, and an example of one's own data. The measured test AP
stands in docs/results/.

    python tools/train.py configs/det/ssdlite_mvit3_xxs_bccd.py
    python tools/test.py configs/det/ssdlite_mvit3_xxs_bccd.py work_dirs/ssdlite_mvit3_xxs_bccd
"""
_base_ = ['../_base_/models/ssdlite_v1type.py', '../_base_/datasets/bccd.py', '../_base_/runtime_det.py']
model = dict(
    # as when the recorded result was measured
    init_cfg=None,
    backbone=dict(arch='xxs', drop_rate=0.1),
    neck=dict(in_channels=(80, 128)),
    bbox_head=dict(num_classes=3),
    # matching and limits with which the results of docs/results were measured
    train_cfg=dict(assigner=dict(iou_calculator=dict(_delete_=True, type='BboxOverlaps2D'))),
    test_cfg=dict(_delete_=True, score_thr=0.01, max_per_class=400, nms=dict(iou_threshold=0.5), max_per_img=200))

max_epochs = 160
train_cfg = dict(type='mvit3_bench.ResumableTrainLoop', max_epochs=max_epochs, val_interval=10)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.01, fused=True),
    clip_grad=dict(max_norm=10.0))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, begin=0, end=100, by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min_ratio=1e-3, begin=0, end=max_epochs, T_max=max_epochs, by_epoch=True,
         convert_to_iter_based=True)]
auto_scale_lr = dict(enable=False, base_batch_size=8)
# a horizon of 200 iterations instead of 2000, the whole run having some 4200
custom_hooks = [
    dict(type='EMAHook', ema_type='ExponentialMovingAverage', momentum=0.005, update_buffers=True)]
