"""The published ImageNet schedule of MobileViTv2: that of the v2 type at batch 1024."""
_base_ = ['adamw_300e_b1020.py']
# 8 GPUs of 128 images; `--auto-scale-lr` or `--accumulate auto` for anything else
auto_scale_lr = dict(base_batch_size=1024)
