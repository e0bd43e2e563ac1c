"""Ablation of MobileViTv3, step 3: the block's input is added to its output.

Steps 1 and 2 are on as well.

4,785,032 parameters, 1764.1 M multiply-adds at 256x256.

    bash tools/dist_train.sh configs/ablation/step3_input_residual_in1k.py 4
"""
_base_ = ['step2_fuse_local_in1k.py']
model = dict(backbone=dict(arch=dict(input_residual=True)))
