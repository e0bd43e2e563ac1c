"""The published VOC2012 schedule of MobileViTv1: that of the v1 type at batch 128."""
_base_ = ['adamw_50e_b48.py']
# 4 GPUs of 32 images; `--auto-scale-lr` or `--accumulate auto` for anything else
auto_scale_lr = dict(base_batch_size=128)
