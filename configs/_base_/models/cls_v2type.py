"""Classifier on a backbone of the v2 type: global average pooling and a linear layer; mixup or cutmix of each batch.

A leaf config adds the arch and the channel number.
"""
model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(
        type='ClsDataPreprocessor',
        num_classes=1000,
        mean=[0.0, 0.0, 0.0],
        std=[255.0, 255.0, 255.0],
        to_rgb=True),  # weights of the v2 type are RGB
    # odd sizes, which only other image sizes than 256 and 384 have, as the published weights would see them
    backbone=dict(type='mvit3_bench.MobileViTv3', out_indices=(-1,), odd_size='published'),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=1000,
        init_cfg=dict(type='Xavier', layer='Linear', distribution='uniform'),
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1)),
    # one of the two is chosen by a coin and then applied with probability 0.5: half of the batches stay as they are
    train_cfg=dict(augments=[dict(type='Mixup', alpha=0.2), dict(type='CutMix', alpha=1.0)], probs=[0.25, 0.25]))
