"""SSDLite with MobileViTv2-0.5 on COCO 2017: the row "MobileViTv2-0.5" of the paper's COCO table.

Published: mAP 21.24 (of the CVNets model zoo), 2.0 M parameters. Cost: 0.89 G multiply-adds at 320x320. The published run starts
from the ImageNet weights of the backbone and trains 200 epochs at batch 128.

    bash tools/dist_train.sh configs/det/ssdlite_mvit2_0.5_coco.py 4 --cfg-options \
        model.backbone.init_cfg.type=Pretrained model.backbone.init_cfg.checkpoint=FILE
"""
_base_ = [
    '../_base_/models/ssdlite_v2type.py', '../_base_/datasets/coco_ssdlite_v2type.py',
    '../_base_/schedules/adamw_200e_b128_v2type.py', '../_base_/runtime_det.py']
model = dict(
    backbone=dict(type='mvit3_bench.MobileViTv2', arch='0.5'),
    neck=dict(in_channels=(192, 256)))
