"""MobileViTv2-1.25 on ImageNet-1K: the row "MobileViTv2-1.25" of its paper's ImageNet table.

Published (CVNets model zoo): top-1 79.65, 7.5 M parameters. The published run trains 300 epochs at batch 1024.

    bash tools/dist_train.sh configs/cls/mvit2_1.25_in1k.py 8
"""
_base_ = [
    '../_base_/models/cls_v2type.py', '../_base_/datasets/imagenet_v2type.py',
    '../_base_/schedules/adamw_300e_b1024_v2type.py', '../_base_/runtime_cls.py']
model = dict(
    backbone=dict(type='mvit3_bench.MobileViTv2', arch='1.25'),
    head=dict(in_channels=640))
train_dataloader = dict(batch_size=128)
