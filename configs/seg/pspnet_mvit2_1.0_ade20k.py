"""PSPNet with MobileViTv2-1.0 on ADE20K: a row of the CVNets model zoo.

Published: mIoU 36.57 (of the CVNets model zoo), 9.4 M parameters (without the auxiliary head). Cost: 39.9 G multiply-adds
at 512x512. The published run starts from the ImageNet weights of the backbone and trains 120 epochs at batch 16.

    bash tools/dist_train.sh configs/seg/pspnet_mvit2_1.0_ade20k.py 4 --cfg-options \
        model.backbone.init_cfg.type=Pretrained model.backbone.init_cfg.checkpoint=FILE
"""
_base_ = [
    '../_base_/models/pspnet_v2type_os8.py', '../_base_/datasets/ade20k.py',
    '../_base_/schedules/sgd_120e_b16.py', '../_base_/runtime_seg.py']
model = dict(
    backbone=dict(type='mvit3_bench.MobileViTv2', arch='1.0'),
    decode_head=dict(in_channels=512),
    auxiliary_head=dict(in_channels=384))
