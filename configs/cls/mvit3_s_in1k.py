"""MobileViTv3-S on ImageNet-1K: the row "MobileViTv3-S" of the paper's ImageNet table.

Published: top-1 79.3, 5.8 M parameters, 1841 M multiply-adds at 256x256. The published run trains 300 epochs at batch 384.

    bash tools/dist_train.sh configs/cls/mvit3_s_in1k.py 6
"""
_base_ = [
    '../_base_/models/cls_v1type.py', '../_base_/datasets/imagenet_v1type.py',
    '../_base_/schedules/adamw_300e_b384.py', '../_base_/runtime_cls.py']
model = dict(
    backbone=dict(arch='s'),
    head=dict(in_channels=960))
