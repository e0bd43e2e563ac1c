"""DeepLabv3 on a backbone of the v2 type: output stride 8, ASPP of 512 with rates 12 24 36, auxiliary head on layer4.

A leaf config adds the arch and the two channel numbers.
"""
norm_cfg = dict(type='BN', requires_grad=True)
init_cfg = dict(type='mvit3_bench.TorchDefaultInit')
model = dict(
    type='mvit3_bench.EncoderDecoder',
    data_preprocessor=dict(
        type='mvit3_bench.SegDataPreProcessor',
        test_divisor=8,
        size=(512, 512),
        mean=[0.0, 0.0, 0.0],
        std=[255.0, 255.0, 255.0],
        bgr_to_rgb=True,  # weights of the v2 type are RGB
        pad_val=0,
        seg_pad_val=255),
    # odd sizes, which tests meet, as the published weights have seen them
    backbone=dict(type='mvit3_bench.MobileViTv3', output_stride=8, odd_size='published', norm_cfg=norm_cfg),
    decode_head=dict(
        type='mvit3_bench.DeepLabV3Head',
        in_index=3,
        channels=512,
        dilations=(1, 12, 24, 36),
        dropout_ratio=0.1,
        num_classes=150,
        norm_cfg=norm_cfg,
        align_corners=True,
        init_cfg=init_cfg,
        loss_decode=dict(type='mvit3_bench.CrossEntropyLoss', loss_weight=1.0)),
    auxiliary_head=dict(
        type='FCNHead',
        in_index=2,
        channels=128,  # a quarter of the input's, at least 128
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes=150,
        norm_cfg=norm_cfg,
        align_corners=True,
        init_cfg=init_cfg,
        loss_decode=dict(type='mvit3_bench.CrossEntropyLoss', loss_weight=0.4)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
