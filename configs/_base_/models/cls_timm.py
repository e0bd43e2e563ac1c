"""Classifier on a backbone of timm: what its own classifier pools, and a linear layer; RGB, ImageNet's mean and deviation.

A leaf config adds `model_name`, the channel number (timm's `head_hidden_size`), and the preprocessing where the weights have
another. `--backbone timm/NAME` fills in all of it: docs/backbones.md.
"""
model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(
        type='ClsDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True),
    backbone=dict(type='mvit3_bench.TimmBackbone', pooled=True),
    head=dict(
        type='LinearClsHead',
        num_classes=1000,
        init_cfg=dict(type='TruncNormal', layer='Linear', std=0.02),
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1)))
