"""The published ADE20K schedule: 120 epochs of SGD at batch 16, cosine 0.02 -> 2e-4 without warm-up."""
max_epochs = 120
train_cfg = dict(type='mvit3_bench.ResumableTrainLoop', max_epochs=max_epochs, val_interval=1)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=1e-4, fused=True),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
    clip_grad=dict(max_norm=10.0))
param_scheduler = [
    dict(type='mvit3_bench.WarmupCosineLR', warmup_iters=0, eta_min_ratio=2e-4 / 0.02, end=max_epochs, by_epoch=True,
         convert_to_iter_based=True)]
# 4 GPUs of 4 images; `--auto-scale-lr` or `--accumulate auto` for anything else
auto_scale_lr = dict(enable=False, base_batch_size=16)
