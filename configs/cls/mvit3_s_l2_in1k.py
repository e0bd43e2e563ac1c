"""MobileViTv3-S-L2 on ImageNet-1K: one of the L2 (low-latency) rows of the release table.

Published: top-1 79.06, 5.2 M parameters, 1651 M multiply-adds at 256x256. The published run trains 300 epochs at batch 384.

    bash tools/dist_train.sh configs/cls/mvit3_s_l2_in1k.py 6
"""
_base_ = [
    '../_base_/models/cls_v1type.py', '../_base_/datasets/imagenet_v1type.py',
    '../_base_/schedules/adamw_300e_b384.py', '../_base_/runtime_cls.py']
model = dict(
    backbone=dict(arch='s_l2'),
    head=dict(in_channels=960))
