"""MobileViT-S on ImageNet-1K: the row "MobileViT-S" of its paper's ImageNet table.

Published (CVNets model zoo): top-1 78.3, 5.6 M parameters. The published run trains 300 epochs at batch 1024.

    bash tools/dist_train.sh configs/cls/mvit1_s_in1k.py 8
"""
_base_ = [
    '../_base_/models/cls_v1type.py', '../_base_/datasets/imagenet_v1type.py',
    '../_base_/schedules/adamw_300e_b1024_v1type.py', '../_base_/runtime_cls.py']
model = dict(
    backbone=dict(type='mvit3_bench.MobileViTv1', arch='s'),
    head=dict(in_channels=640))
train_dataloader = dict(batch_size=128)
