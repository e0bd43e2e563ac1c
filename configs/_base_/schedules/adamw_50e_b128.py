"""The published VOC2012 schedule of the v2 type: 50 epochs of AdamW at batch 128, cosine 5e-4 -> 1e-6.

It counts on COCO's images: the 4,150 iterations without them leave 13 % of the initial weights in the average, see
docs/segmentation.md.
"""
max_epochs = 50
warmup_iters = 500
train_cfg = dict(type='mvit3_bench.ResumableTrainLoop', max_epochs=max_epochs, val_interval=1)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=5e-4, weight_decay=0.05, fused=True),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
    clip_grad=dict(max_norm=10.0))
param_scheduler = [
    dict(type='mvit3_bench.WarmupCosineLR', warmup_iters=warmup_iters, warmup_start_factor=5e-5 / 5e-4,
         eta_min_ratio=1e-6 / 5e-4, end=max_epochs, by_epoch=True, convert_to_iter_based=True)]
# 4 GPUs of 32 images; `--auto-scale-lr` or `--accumulate auto` for anything else
auto_scale_lr = dict(enable=False, base_batch_size=128)
