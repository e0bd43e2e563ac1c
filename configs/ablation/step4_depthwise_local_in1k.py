"""Ablation of MobileViTv3, step 4: the local 3x3 is depthwise; and what the steps before changed.

All four are on now: the block of v3 at the widths of v1-S, "unscaled".
4,327,688 parameters, 1628.0 M multiply-adds at 256x256.

    bash tools/dist_train.sh configs/ablation/step4_depthwise_local_in1k.py 4
"""
_base_ = ['step3_input_residual_in1k.py']
model = dict(backbone=dict(arch=dict(depthwise_local=True)))
