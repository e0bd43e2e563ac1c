"""DeepLabv3 on a backbone of the v1 type: output stride 16, ASPP of 256 with rates 6 12 18, no auxiliary head.

A leaf config adds the arch, the channel number, the crop and the number of classes.
"""
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    type='mvit3_bench.EncoderDecoder',
    init_cfg=dict(type='Normal', layer='Linear', std=0.01),  # the transformers, if no pretrained weights follow
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[0.0, 0.0, 0.0],
        std=[255.0, 255.0, 255.0],
        bgr_to_rgb=False,  # weights of the v1 type are BGR
        pad_val=0,
        seg_pad_val=255),
    backbone=dict(type='mvit3_bench.MobileViTv3', output_stride=16, norm_cfg=norm_cfg),
    decode_head=dict(
        type='mvit3_bench.DeepLabV3Head',
        in_index=3,
        channels=256,
        dilations=(1, 6, 12, 18),
        aspp_drop_rate=0.1,
        dropout_ratio=0.1,
        norm_cfg=norm_cfg,
        align_corners=False,
        init_cfg=dict(type='Kaiming', layer='Conv2d'),
        loss_decode=dict(type='mvit3_bench.CrossEntropyLoss', loss_weight=1.0)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole', resize='nearest'))
