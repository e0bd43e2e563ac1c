"""DeepLabv3 with MobileViTv3-0.75 on ADE20K."""
_base_ = [
    '../_base_/models/deeplabv3_v2type_os8.py', '../_base_/datasets/ade20k.py',
    '../_base_/schedules/sgd_120e_b16.py', '../_base_/runtime_seg.py']
model = dict(
    backbone=dict(arch='0.75'),
    decode_head=dict(in_channels=384),
    auxiliary_head=dict(in_channels=288))
