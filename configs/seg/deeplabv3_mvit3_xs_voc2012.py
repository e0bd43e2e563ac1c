"""DeepLabv3 with MobileViTv3-XS on VOC2012: the row "MobileViTv3-XS" of the paper's VOC2012 table.

Published: mIoU 78.77, 3.3 M parameters. Cost: 7.5 G multiply-adds at 512x512. The published run starts from the ImageNet
weights of the backbone and trains 50 epochs at batch 48, with images of COCO too: docs/segmentation.md.

    bash tools/dist_train.sh configs/seg/deeplabv3_mvit3_xs_voc2012.py 4 --cfg-options \
        model.backbone.init_cfg.type=Pretrained model.backbone.init_cfg.checkpoint=FILE
"""
_base_ = [
    '../_base_/models/deeplabv3_v1type_os16.py', '../_base_/datasets/voc2012_v1type.py',
    '../_base_/schedules/adamw_50e_b48.py', '../_base_/runtime_seg.py']
model = dict(
    data_preprocessor=dict(size=(512, 512)),
    backbone=dict(arch='xs'),
    decode_head=dict(in_channels=160, num_classes=21))
