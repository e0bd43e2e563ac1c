"""Ablation of MobileViTv3, step 1: the fusing convolution is 1x1 instead of 3x3.

4,759,432 parameters, 1756.5 M multiply-adds at 256x256.

    bash tools/dist_train.sh configs/ablation/step1_pointwise_fusion_in1k.py 4
"""
_base_ = ['step0_mvit1_s_in1k.py']
model = dict(backbone=dict(arch=dict(pointwise_fusion=True)))
