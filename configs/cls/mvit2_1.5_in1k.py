"""MobileViTv2-1.5 on ImageNet-1K: the row "MobileViTv2-1.5" of its paper's ImageNet table.

Published (CVNets model zoo): top-1 80.38, 10.6 M parameters. The published run trains 300 epochs at batch 1020.

    bash tools/dist_train.sh configs/cls/mvit2_1.5_in1k.py 6
"""
_base_ = [
    '../_base_/models/cls_v2type.py', '../_base_/datasets/imagenet_v2type.py',
    '../_base_/schedules/adamw_300e_b1020.py', '../_base_/runtime_cls.py']
model = dict(
    backbone=dict(type='mvit3_bench.MobileViTv2', arch='1.5'),
    head=dict(in_channels=768))
