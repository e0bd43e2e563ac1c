"""The published COCO schedule of MobileViTv3-S: cosine 4e-3 -> 1e-6."""
_base_ = ['adamw_200e_b128.py']
max_epochs = {{_base_.max_epochs}}
warmup_iters = {{_base_.warmup_iters}}
optim_wrapper = dict(optimizer=dict(lr=4e-3))
param_scheduler = [
    dict(type='mvit3_bench.WarmupCosineLR', warmup_iters=warmup_iters, warmup_start_factor=9e-5 / 4e-3,
         eta_min_ratio=1e-6 / 4e-3, end=max_epochs, by_epoch=True, convert_to_iter_based=True)]
