"""MobileViTv3-1.0 on ImageNet-1K: the row "MobileViTv3-1.0" of the paper's ImageNet table.

Published: top-1 78.64, 5.1 M parameters, 1876 M multiply-adds at 256x256. The published run trains 300 epochs at batch 1020.

    bash tools/dist_train.sh configs/cls/mvit3_1.0_in1k.py 6
"""
_base_ = [
    '../_base_/models/cls_v2type.py', '../_base_/datasets/imagenet_v2type.py',
    '../_base_/schedules/adamw_300e_b1020.py', '../_base_/runtime_cls.py']
model = dict(
    backbone=dict(arch='1.0'),
    head=dict(in_channels=512))
