"""The published schedule of the ablation: that of the v1 type in 100 epochs, at batch 192."""
_base_ = ['adamw_300e_b384.py']
max_epochs = 100
warmup_iters = {{_base_.warmup_iters}}
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = [
    dict(type='mvit3_bench.WarmupCosineLR', warmup_iters=warmup_iters, warmup_start_factor=2e-4 / 2e-3,
         eta_min_ratio=2e-4 / 2e-3, end=max_epochs, by_epoch=True, convert_to_iter_based=True)]
# 4 GPUs of 48 images; `--auto-scale-lr` or `--accumulate auto` for anything else
auto_scale_lr = dict(enable=False, base_batch_size=192)
