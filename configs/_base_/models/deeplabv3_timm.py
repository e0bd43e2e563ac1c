"""DeepLabv3 at output stride 16 on a backbone of timm, without auxiliary head; RGB, ImageNet's mean and deviation.

A leaf config adds `model_name`, `out_indices` of the last maps of strides 16 and 32, the channel number of the latter,
and the number of classes. `--backbone timm/NAME` fills in all of it: docs/backbones.md.
"""
_base_ = ['deeplabv3_v1type_os16.py']
model = dict(
    init_cfg=None,  # that of the transformers of MobileViT
    output_stride=16,
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True),
    backbone=dict(_delete_=True, type='mvit3_bench.TimmBackbone'),
    decode_head=dict(in_index=1))
