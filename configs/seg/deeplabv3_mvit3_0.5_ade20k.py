"""DeepLabv3 with MobileViTv3-0.5 on ADE20K: the row "MobileViTv3-0.5" of the paper's ADE20K table.

Published: mIoU 33.57, 6.4 M parameters (without the auxiliary head). Cost: 26.1 G multiply-adds at 512x512. The published run starts
from the ImageNet weights of the backbone and trains 120 epochs at batch 16.

    bash tools/dist_train.sh configs/seg/deeplabv3_mvit3_0.5_ade20k.py 4 --cfg-options \
        model.backbone.init_cfg.type=Pretrained model.backbone.init_cfg.checkpoint=FILE
"""
_base_ = [
    '../_base_/models/deeplabv3_v2type_os8.py', '../_base_/datasets/ade20k.py',
    '../_base_/schedules/sgd_120e_b16.py', '../_base_/runtime_seg.py']
model = dict(
    backbone=dict(arch='0.5'),
    decode_head=dict(in_channels=256),
    auxiliary_head=dict(in_channels=192))
