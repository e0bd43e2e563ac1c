"""SSDLite with MobileViTv1-S on COCO 2017: the row "MobileViTv1-S" of the paper's COCO table.

Published: mAP 27.9 (of the CVNets model zoo), 5.7 M parameters. Cost: 3.43 G multiply-adds at 320x320. The published run starts
from the ImageNet weights of the backbone and trains 200 epochs at batch 128.

    bash tools/dist_train.sh configs/det/ssdlite_mvit1_s_coco.py 4 --cfg-options \
        model.backbone.init_cfg.type=Pretrained model.backbone.init_cfg.checkpoint=FILE
"""
_base_ = [
    '../_base_/models/ssdlite_v1type.py', '../_base_/datasets/coco_ssdlite_v1type.py',
    '../_base_/schedules/adamw_200e_b128.py', '../_base_/runtime_det.py']
model = dict(
    backbone=dict(type='mvit3_bench.MobileViTv1', arch='s'),
    neck=dict(in_channels=(128, 160)))
