"""DeepLabv3 with MobileViTv3-XXS on VOC2012: the row "MobileViTv3-XXS" of the paper's VOC2012 table.

Published: mIoU 74.04, 2.0 M parameters. Cost: 3.9 G multiply-adds at 512x512. The published run starts from the ImageNet
weights of the backbone and trains 50 epochs at batch 64 (here 48, as all of the type), with images of COCO too:
docs/segmentation.md.

    bash tools/dist_train.sh configs/seg/deeplabv3_mvit3_xxs_voc2012.py 4 --cfg-options \
        model.backbone.init_cfg.type=Pretrained model.backbone.init_cfg.checkpoint=FILE
"""
_base_ = [
    '../_base_/models/deeplabv3_v1type_os16.py', '../_base_/datasets/voc2012_v1type.py',
    '../_base_/schedules/adamw_50e_b48.py', '../_base_/runtime_seg.py']
model = dict(
    data_preprocessor=dict(size=(512, 512)),
    backbone=dict(arch='xxs'),
    decode_head=dict(in_channels=128, num_classes=21))
