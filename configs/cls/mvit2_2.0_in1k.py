"""MobileViTv2-2.0 on ImageNet-1K: the row "MobileViTv2-2.0" of its paper's ImageNet table.

Published (CVNets model zoo): top-1 81.17, 18.4 M parameters. The published run trains 300 epochs at batch 1024.

    bash tools/dist_train.sh configs/cls/mvit2_2.0_in1k.py 8
"""
_base_ = [
    '../_base_/models/cls_v2type.py', '../_base_/datasets/imagenet_v2type.py',
    '../_base_/schedules/adamw_300e_b1024_v2type.py', '../_base_/runtime_cls.py']
model = dict(
    backbone=dict(type='mvit3_bench.MobileViTv2', arch='2.0'),
    head=dict(in_channels=1024))
train_dataloader = dict(batch_size=128)
