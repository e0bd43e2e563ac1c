"""ImageNet-1K with the published augmentation of the v1 type: crop and flip, at five sizes of 160 to 320.

Images are read and resized with OpenCV. The smaller the images of a batch, the more of them: `batch_size` is meant at 256 x 256.
"""
_base_ = ['imagenet_v2type.py']
train_pipeline = [
    dict(
        type='mvit3_bench.MultiScale',
        transforms=[
            dict(
                type='mvit3_bench.Load',
                transforms=[dict(type='LoadImageFromFile', imdecode_backend='cv2')]),
            dict(type='RandomResizedCrop', scale=256)]),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackInputs')]
test_pipeline = [
    dict(type='LoadImageFromFile', imdecode_backend='cv2'),
    dict(type='ResizeEdge', scale=288),
    dict(type='CenterCrop', crop_size=256),
    dict(type='PackInputs')]

train_dataloader = dict(
    batch_size=64,
    batch_sampler=dict(type='mvit3_bench.MultiScaleBatchSampler', sizes=(160, 192, 256, 288, 320), base_size=256),
    dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
