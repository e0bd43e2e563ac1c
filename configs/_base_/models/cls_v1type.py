"""Classifier on a backbone of the v1 type: 1x1 expansion, global average pooling, dropout, linear layer.

A leaf config adds the arch and the channel number.
"""
model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(
        type='ClsDataPreprocessor',
        mean=[0.0, 0.0, 0.0],
        std=[255.0, 255.0, 255.0],
        to_rgb=False),  # weights of the v1 type are BGR
    backbone=dict(type='mvit3_bench.MobileViTv3', out_indices=(-1,)),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='mvit3_bench.DropoutLinearClsHead',
        drop_rate=0.1,
        num_classes=1000,
        init_cfg=dict(type='TruncNormal', layer='Linear', std=0.02),
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1)))
