"""PSPNet with MobileViTv3-1.0 on VOC2012: no row of a published table.

Published: no mIoU. Size: 9.6 M parameters (without the auxiliary head). Cost: 14.0 G multiply-adds at 512x512. The recipe
is that of the published models of its type: from the ImageNet weights of the backbone, 50 epochs at batch 128, with
images of COCO too: docs/segmentation.md.

    bash tools/dist_train.sh configs/seg/pspnet_mvit3_1.0_voc2012.py 4 --cfg-options \
        model.backbone.init_cfg.type=Pretrained model.backbone.init_cfg.checkpoint=FILE
"""
_base_ = [
    '../_base_/models/pspnet_v2type_os16.py', '../_base_/datasets/voc2012_v2type.py',
    '../_base_/schedules/adamw_50e_b128.py', '../_base_/runtime_seg.py']
model = dict(
    backbone=dict(arch='1.0'),
    decode_head=dict(in_channels=512),
    auxiliary_head=dict(in_channels=384))
