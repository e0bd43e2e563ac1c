"""The published COCO schedule of the v2 type: weight decay 0.05."""
_base_ = ['adamw_200e_b128.py']
optim_wrapper = dict(optimizer=dict(weight_decay=0.05))
