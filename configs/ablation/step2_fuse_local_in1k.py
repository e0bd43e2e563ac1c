"""Ablation of MobileViTv3, step 2: local features, not the block's input, meet the global ones.

Step 1 is on as well.
4,785,032 parameters, 1764.1 M multiply-adds at 256x256.

    bash tools/dist_train.sh configs/ablation/step2_fuse_local_in1k.py 4
"""
_base_ = ['step1_pointwise_fusion_in1k.py']
model = dict(backbone=dict(arch=dict(fuse_local=True)))
