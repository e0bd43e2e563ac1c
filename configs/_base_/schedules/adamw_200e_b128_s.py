"""The published COCO schedule of the size S: cosine 4e-3 -> 1e-6."""
_base_ = ['adamw_200e_b128.py']
max_epochs = {{_base_.max_epochs}}
optim_wrapper = dict(optimizer=dict(lr=4e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=9e-5 / 4e-3, begin=0, end=500, by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min_ratio=1e-6 / 4e-3, begin=0, end=max_epochs, T_max=max_epochs, by_epoch=True,
         convert_to_iter_based=True)]
