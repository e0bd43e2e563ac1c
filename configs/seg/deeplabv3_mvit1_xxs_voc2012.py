"""DeepLabv3 with MobileViTv1-XXS on VOC2012: a row of the CVNets model zoo.

Published: mIoU 72.8 (of the CVNets model zoo), 1.9 M parameters. Cost: 4.0 G multiply-adds at 512x512. The published run
starts from the ImageNet weights of the backbone and trains 50 epochs at batch 128, with images of COCO too:
docs/segmentation.md.

    bash tools/dist_train.sh configs/seg/deeplabv3_mvit1_xxs_voc2012.py 4 --cfg-options \
        model.backbone.init_cfg.type=Pretrained model.backbone.init_cfg.checkpoint=FILE
"""
_base_ = [
    '../_base_/models/deeplabv3_v1type_os16.py', '../_base_/datasets/voc2012_v1type.py',
    '../_base_/schedules/adamw_50e_b128_v1type.py', '../_base_/runtime_seg.py']
model = dict(
    data_preprocessor=dict(size=(512, 512)),
    backbone=dict(type='mvit3_bench.MobileViTv1', arch='xxs'),
    decode_head=dict(in_channels=80, num_classes=21))
train_dataloader = dict(batch_size=32)
