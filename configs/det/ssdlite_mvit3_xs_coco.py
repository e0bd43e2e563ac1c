"""SSDLite with MobileViTv3-XS on COCO 2017: the row "MobileViTv3-XS" of the paper's COCO table.

Published: mAP 25.6, 2.7 M parameters. Cost: 1.76 G multiply-adds at 320x320. The published run starts
from the ImageNet weights of the backbone and trains 200 epochs at batch 128.

    bash tools/dist_train.sh configs/det/ssdlite_mvit3_xs_coco.py 4 --cfg-options \
        model.backbone.init_cfg.type=Pretrained model.backbone.init_cfg.checkpoint=FILE
"""
_base_ = [
    '../_base_/models/ssdlite_v1type.py', '../_base_/datasets/coco_ssdlite_v1type.py',
    '../_base_/schedules/adamw_200e_b128.py', '../_base_/runtime_det.py']
model = dict(
    backbone=dict(arch='xs'),
    neck=dict(in_channels=(160, 160)))
