"""MobileViTv3-0.75 on ImageNet-1K: the row "MobileViTv3-0.75" of the paper's ImageNet table.

Published: top-1 76.55, 3.0 M parameters, 1064 M multiply-adds at 256x256. The published run trains 300 epochs at batch 1020.

    bash tools/dist_train.sh configs/cls/mvit3_0.75_in1k.py 6
"""
_base_ = [
    '../_base_/models/cls_v2type.py', '../_base_/datasets/imagenet_v2type.py',
    '../_base_/schedules/adamw_300e_b1020.py', '../_base_/runtime_cls.py']
model = dict(
    backbone=dict(arch='0.75'),
    head=dict(in_channels=384))
