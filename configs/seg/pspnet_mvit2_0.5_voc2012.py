"""PSPNet with MobileViTv2-0.5 on VOC2012: a row of the CVNets model zoo.

Published: mIoU 74.62 (of the CVNets model zoo), 3.6 M parameters (without the auxiliary head). Cost: 4.7 G multiply-adds
at 512x512. The published run starts from the ImageNet weights of the backbone and trains 50 epochs at batch 128, with
images of COCO too: docs/segmentation.md.

    bash tools/dist_train.sh configs/seg/pspnet_mvit2_0.5_voc2012.py 4 --cfg-options \
        model.backbone.init_cfg.type=Pretrained model.backbone.init_cfg.checkpoint=FILE
"""
_base_ = [
    '../_base_/models/pspnet_v2type_os16.py', '../_base_/datasets/voc2012_v2type.py',
    '../_base_/schedules/adamw_50e_b128.py', '../_base_/runtime_seg.py']
model = dict(
    backbone=dict(type='mvit3_bench.MobileViTv2', arch='0.5'),
    decode_head=dict(in_channels=256),
    auxiliary_head=dict(in_channels=192))
