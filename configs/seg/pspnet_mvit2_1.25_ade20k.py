"""PSPNet with MobileViTv2-1.25 on ADE20K: a row of the CVNets model zoo.

Published: mIoU 38.76 (of the CVNets model zoo), 13.2 M parameters (without the auxiliary head). Cost: 56.0 G multiply-
adds at 512x512. The published run starts from the ImageNet weights of the backbone and trains 120 epochs at batch 16.

    bash tools/dist_train.sh configs/seg/pspnet_mvit2_1.25_ade20k.py 4 --cfg-options \
        model.backbone.init_cfg.type=Pretrained model.backbone.init_cfg.checkpoint=FILE
"""
_base_ = [
    '../_base_/models/pspnet_v2type_os8.py', '../_base_/datasets/ade20k.py',
    '../_base_/schedules/sgd_120e_b16.py', '../_base_/runtime_seg.py']
model = dict(
    backbone=dict(type='mvit3_bench.MobileViTv2', arch='1.25'),
    decode_head=dict(in_channels=640),
    auxiliary_head=dict(in_channels=480))
