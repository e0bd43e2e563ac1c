"""The same warm-up on CIFAR-10, after which a cosine of each iteration begins.

One of a pair, with `cifar10_published_cosine.py`: docs/study_plan.md.

    python tools/train.py configs/study/cifar10_cosine_after_warmup.py
"""
_base_ = ['cifar10_published_cosine.py']
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, begin=0, end={{_base_.warmup_iters}}, by_epoch=False),
    dict(type='mvit3_bench.CosineAnnealingLR', end={{_base_.max_epochs}}, warmup_iters={{_base_.warmup_iters}},
         eta_min_ratio=1e-3, by_epoch=True, convert_to_iter_based=True)]
