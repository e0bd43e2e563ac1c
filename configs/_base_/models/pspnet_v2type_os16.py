"""PSPNet on a backbone of the v2 type as published for VOC2012: output stride 16, 21 classes."""
_base_ = ['pspnet_v2type_os8.py']
model = dict(
    data_preprocessor=dict(test_divisor=16),
    backbone=dict(output_stride=16),
    decode_head=dict(num_classes=21),
    auxiliary_head=dict(num_classes=21))
