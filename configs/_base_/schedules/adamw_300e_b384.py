"""The published ImageNet schedule of the v1 type: 300 epochs of AdamW at batch 384, cosine 2e-3 -> 2e-4."""
max_epochs = 300
warmup_iters = 3000
train_cfg = dict(type='mvit3_bench.ResumableTrainLoop', max_epochs=max_epochs, val_interval=1)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.01, fused=True))
param_scheduler = [
    dict(type='mvit3_bench.WarmupCosineLR', warmup_iters=warmup_iters, warmup_start_factor=2e-4 / 2e-3,
         eta_min_ratio=2e-4 / 2e-3, end=max_epochs, by_epoch=True, convert_to_iter_based=True)]
# 6 GPUs of 64 images; `--auto-scale-lr` or `--accumulate auto` for anything else
auto_scale_lr = dict(enable=False, base_batch_size=384)
