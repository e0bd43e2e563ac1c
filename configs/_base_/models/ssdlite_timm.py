"""SSDLite at 320x320 on a backbone of timm; RGB, ImageNet's mean and deviation.

A leaf config adds `model_name`, `out_indices` of the last maps of strides 16 and 32, and their channel numbers.
`--backbone timm/NAME` fills in all of it: docs/backbones.md.
"""
_base_ = ['ssdlite_v2type.py']
model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(_delete_=True, type='mvit3_bench.TimmBackbone'))
