"""VOC2012 for the v1 type: scale, crop and flip only; of its augmentation the publications say no more than the crop."""
_base_ = ['voc2012_v2type.py']
train_pipeline = [
    step for step in _base_.train_pipeline
    if step['type'] in ('mvit3_bench.Load', 'RandomResize', 'RandomCrop', 'RandomFlip', 'PackSegInputs')]
train_dataloader = dict(
    batch_size=12,
    num_workers=4,
    dataset=dict(datasets=[dict(part, pipeline=train_pipeline) for part in _base_.train_dataloader.dataset.datasets]))
