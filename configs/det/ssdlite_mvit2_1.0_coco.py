"""SSDLite with MobileViTv2-1.0 on COCO 2017: the row "MobileViTv2-1.0" of the paper's COCO table.

Published: mAP 26.47 (of the CVNets model zoo), 5.6 M parameters. Cost: 3.05 G multiply-adds at 320x320. The published run starts
from the ImageNet weights of the backbone and trains 200 epochs at batch 128.

    bash tools/dist_train.sh configs/det/ssdlite_mvit2_1.0_coco.py 4 --cfg-options \
        model.backbone.init_cfg.type=Pretrained model.backbone.init_cfg.checkpoint=FILE
"""
_base_ = [
    '../_base_/models/ssdlite_v2type.py', '../_base_/datasets/coco_ssdlite_v2type.py',
    '../_base_/schedules/adamw_200e_b128_v2type.py', '../_base_/runtime_det.py']
model = dict(
    backbone=dict(type='mvit3_bench.MobileViTv2', arch='1.0'),
    neck=dict(in_channels=(384, 512)))
