"""The schedule of the published trainer on CIFAR-10: a warm-up by iterations, under a cosine by epochs from the start.

One of a pair, with `cifar10_cosine_after_warmup.py`: docs/study_plan.md.

    python tools/train.py configs/study/cifar10_published_cosine.py
"""
_base_ = ['cifar10.py']
# 5 % of 8 epochs, as the 20,000 iterations of the published v2-type recipe are of its 300 epochs
warmup_iters = 280
param_scheduler = [
    dict(type='mvit3_bench.WarmupCosineLR', end={{_base_.max_epochs}}, warmup_iters=warmup_iters, warmup_start_factor=0.05,
         eta_min_ratio=1e-3, by_epoch=True, convert_to_iter_based=True)]
