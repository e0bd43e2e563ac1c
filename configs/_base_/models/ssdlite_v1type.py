"""SSDLite at 320x320 on a backbone of the v1 type.

A leaf config adds the arch and the two channel numbers.
"""
norm_cfg = dict(type='BN', requires_grad=True)
level_channels = (512, 256, 256, 128, 128, 64)
model = dict(
    type='SingleStageDetector',
    init_cfg=dict(type='Normal', layer='Linear', std=0.01),  # the transformers, if no pretrained weights follow
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[0.0, 0.0, 0.0],
        std=[255.0, 255.0, 255.0],
        bgr_to_rgb=False),  # weights of the v1 type are BGR
    backbone=dict(type='mvit3_bench.MobileViTv3', out_indices=(3, 4), norm_cfg=norm_cfg),
    neck=dict(type='mvit3_bench.SSDLiteNeck', out_channels=level_channels, norm_cfg=norm_cfg),
    bbox_head=dict(
        type='mvit3_bench.SSDLiteHead',
        in_channels=level_channels,
        num_classes=80,
        norm_cfg=norm_cfg,
        anchor_generator=dict(
            type='mvit3_bench.SSDLiteAnchorGenerator',
            strides=[16, 32, 64, 128, 256, 320],
            ratios=[[2, 3], [2, 3], [2, 3], [2, 3], [2, 3], [2]]),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_stds=[0.1, 0.1, 0.2, 0.2], clip_border=False)),
    train_cfg=dict(
        # each box also takes its best anchor, whatever their IoU, from an earlier box too
        assigner=dict(
            type='MaxIoUAssigner',
            pos_iou_thr=0.5,
            neg_iou_thr=0.5,
            min_pos_iou=0.0,
            gt_max_assign_all=False,
            iou_calculator=dict(type='mvit3_bench.SSDLiteIoU', eps=1e-5)),
        smoothl1_beta=1.0,
        allowed_border=-1,
        pos_weight=-1,
        neg_pos_ratio=3),
    test_cfg=dict(
        score_thr=0.01,
        max_per_class=-1,
        nms=dict(iou_threshold=0.5, max_num=200),  # of each class
        max_per_img=-1))
