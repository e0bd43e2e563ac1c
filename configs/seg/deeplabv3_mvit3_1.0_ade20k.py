"""DeepLabv3 with MobileViTv3-1.0 on ADE20K."""
_base_ = [
    '../_base_/models/deeplabv3_v2type_os8.py', '../_base_/datasets/ade20k.py',
    '../_base_/schedules/sgd_120e_b16.py', '../_base_/runtime_seg.py']
model = dict(
    backbone=dict(arch='1.0'),
    decode_head=dict(in_channels=512),
    auxiliary_head=dict(in_channels=384))
