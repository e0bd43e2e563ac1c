"""DeepLabv3 on a backbone of the v2 type as published for VOC2012: output stride 16, rates 6 12 18, 21 classes."""
_base_ = ['deeplabv3_v2type_os8.py']
model = dict(
    data_preprocessor=dict(test_divisor=16),
    backbone=dict(output_stride=16),
    decode_head=dict(dilations=(1, 6, 12, 18), num_classes=21),
    auxiliary_head=dict(num_classes=21))
