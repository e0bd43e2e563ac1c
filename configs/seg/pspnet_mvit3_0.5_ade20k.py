"""PSPNet with MobileViTv3-0.5 on ADE20K: no row of a published table.

Published: no mIoU. Size: 3.7 M parameters (without the auxiliary head). Cost: 15.4 G multiply-adds at 512x512. The recipe
is that of the published models of its type: from the ImageNet weights of the backbone, 120 epochs at batch 16.

    bash tools/dist_train.sh configs/seg/pspnet_mvit3_0.5_ade20k.py 4 --cfg-options \
        model.backbone.init_cfg.type=Pretrained model.backbone.init_cfg.checkpoint=FILE
"""
_base_ = [
    '../_base_/models/pspnet_v2type_os8.py', '../_base_/datasets/ade20k.py',
    '../_base_/schedules/sgd_120e_b16.py', '../_base_/runtime_seg.py']
model = dict(
    backbone=dict(arch='0.5'),
    decode_head=dict(in_channels=256),
    auxiliary_head=dict(in_channels=192))
