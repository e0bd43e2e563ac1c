"""Ablation of MobileViTv3, step 0: MobileViT-S, to which the other steps add the four changes one by one.

The paper's ablation (Section 3.1 and Table 6) on ImageNet-1K: 100 epochs at batch 192, else the recipe of the v1 type.
5,578,632 parameters, 2000.8 M multiply-adds at 256x256.

    bash tools/dist_train.sh configs/ablation/step0_mvit1_s_in1k.py 4
"""
_base_ = [
    '../_base_/models/cls_v1type.py', '../_base_/datasets/imagenet_v1type.py',
    '../_base_/schedules/adamw_100e_b192.py', '../_base_/runtime_cls.py']
model = dict(
    backbone=dict(type='mvit3_bench.MobileViTv1', arch=dict(name='s')),
    head=dict(in_channels=640))
train_dataloader = dict(batch_size=48)
