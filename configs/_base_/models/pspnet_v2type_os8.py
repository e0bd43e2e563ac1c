"""PSPNet of 512 on a backbone of the v2 type; output stride and auxiliary head are those of DeepLabv3.

A leaf config adds the arch and the two channel numbers.
"""
_base_ = ['deeplabv3_v2type_os8.py']
model = dict(
    decode_head=dict(
        _delete_=True,
        type='mvit3_bench.PSPNetHead',
        in_index=3,
        channels=512,
        pool_scales=(1, 2, 3, 6),
        dropout_ratio=0.1,
        num_classes=150,
        norm_cfg=_base_.norm_cfg,
        align_corners=True,
        init_cfg=_base_.init_cfg,
        loss_decode=dict(type='mvit3_bench.CrossEntropyLoss', loss_weight=1.0)))
