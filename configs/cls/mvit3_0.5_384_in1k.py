"""MobileViTv3-0.5 on ImageNet-1K, fine-tuned at 384x384: 10 epochs at batch 128, from the weights trained at 256.

No published row is known to this suite; the recipe is the published one of the fine-tuning. FILE is a checkpoint of
configs/cls/mvit3_0.5_in1k.py, or a converted one.

    bash tools/dist_train.sh configs/cls/mvit3_0.5_384_in1k.py 2 --cfg-options load_from=FILE
"""
_base_ = ['../_base_/finetune_384.py']
model = dict(
    backbone=dict(arch='0.5'),
    head=dict(in_channels=256))
