"""The published COCO schedule: 200 epochs of AdamW at batch 128, cosine 9e-4 -> 1e-6, warm-up of 500 iterations from 9e-5."""
max_epochs = 200
warmup_iters = 500
train_cfg = dict(type='mvit3_bench.ResumableTrainLoop', max_epochs=max_epochs, val_interval=1)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=9e-4, weight_decay=0.01, fused=True))
param_scheduler = [
    dict(type='mvit3_bench.WarmupCosineLR', warmup_iters=warmup_iters, warmup_start_factor=9e-5 / 9e-4,
         eta_min_ratio=1e-6 / 9e-4, end=max_epochs, by_epoch=True, convert_to_iter_based=True)]
# 4 GPUs of 32 images; `--auto-scale-lr` or `--accumulate auto` for anything else
auto_scale_lr = dict(enable=False, base_batch_size=128)
