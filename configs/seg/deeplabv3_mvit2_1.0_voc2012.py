"""DeepLabv3 with MobileViTv2-1.0 on VOC2012: a row of the CVNets model zoo.

Published: mIoU 78.94 (of the CVNets model zoo), 13.3 M parameters (without the auxiliary head). Cost: 17.7 G multiply-
adds at 512x512. The published run starts from the ImageNet weights of the backbone and trains 50 epochs at batch 128,
with images of COCO too: docs/segmentation.md.

    bash tools/dist_train.sh configs/seg/deeplabv3_mvit2_1.0_voc2012.py 4 --cfg-options \
        model.backbone.init_cfg.type=Pretrained model.backbone.init_cfg.checkpoint=FILE
"""
_base_ = [
    '../_base_/models/deeplabv3_v2type_os16.py', '../_base_/datasets/voc2012_v2type.py',
    '../_base_/schedules/adamw_50e_b128.py', '../_base_/runtime_seg.py']
model = dict(
    backbone=dict(type='mvit3_bench.MobileViTv2', arch='1.0'),
    decode_head=dict(in_channels=512),
    auxiliary_head=dict(in_channels=384))
