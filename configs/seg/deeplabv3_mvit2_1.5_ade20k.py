"""DeepLabv3 with MobileViTv2-1.5 on ADE20K: a row of the CVNets model zoo.

Published: mIoU 38.91 (of the CVNets model zoo), 22.6 M parameters (without the auxiliary head). Cost: 96.2 G multiply-
adds at 512x512. The published run starts from the ImageNet weights of the backbone and trains 120 epochs at batch 16.

    bash tools/dist_train.sh configs/seg/deeplabv3_mvit2_1.5_ade20k.py 4 --cfg-options \
        model.backbone.init_cfg.type=Pretrained model.backbone.init_cfg.checkpoint=FILE
"""
_base_ = [
    '../_base_/models/deeplabv3_v2type_os8.py', '../_base_/datasets/ade20k.py',
    '../_base_/schedules/sgd_120e_b16.py', '../_base_/runtime_seg.py']
model = dict(
    backbone=dict(type='mvit3_bench.MobileViTv2', arch='1.5'),
    decode_head=dict(in_channels=768),
    auxiliary_head=dict(in_channels=576, channels=144))
