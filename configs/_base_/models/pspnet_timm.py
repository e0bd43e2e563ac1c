"""PSPNet at output stride 16 on a backbone of timm; RGB, ImageNet's mean and deviation.

A leaf config adds `model_name`, `out_indices` of the last maps of strides 16 and 32, the channel numbers of the two
(`auxiliary_head`, `decode_head`), and the number of classes. `--backbone timm/NAME` fills in all of it: docs/backbones.md.
"""
_base_ = ['pspnet_v2type_os16.py']
model = dict(
    output_stride=16,
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(_delete_=True, type='mvit3_bench.TimmBackbone'),
    decode_head=dict(in_index=1),
    auxiliary_head=dict(in_index=0))
