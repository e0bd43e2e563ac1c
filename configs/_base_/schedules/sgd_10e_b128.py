"""The published fine-tuning at 384: 10 epochs of SGD at batch 128 and a constant 1e-3."""
train_cfg = dict(type='mvit3_bench.ResumableTrainLoop', max_epochs=10, val_interval=1)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=1e-3, momentum=0.9, weight_decay=4e-5, fused=True),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
    clip_grad=dict(max_norm=10.0))
param_scheduler = []
# 2 GPUs of 64 images; `--auto-scale-lr` or `--accumulate auto` for anything else
auto_scale_lr = dict(enable=False, base_batch_size=128)
