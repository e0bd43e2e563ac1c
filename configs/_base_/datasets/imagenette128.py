"""Imagenette, 10 classes of ImageNet at 128x128: one folder for each class below train/ and val/.

An example of one's own data: `CustomDataset`, with the classes in `metainfo` in the alphabetical order of the folders.
"""
data_root = 'data/imagenette128'
metainfo = dict(
    classes=('tench', 'English springer', 'cassette player', 'chain saw', 'church', 'French horn', 'garbage truck',
             'gas pump', 'golf ball', 'parachute'))

train_pipeline = [
    dict(
        type='mvit3_bench.Load',
        transforms=[dict(type='LoadImageFromFile', imdecode_backend='pillow')]),
    dict(type='RandomResizedCrop', scale=128, crop_ratio_range=(0.25, 1.0), backend='pillow', interpolation='bicubic'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='NumpyToPIL', to_rgb=True),
    dict(type='torchvision/RandAugment', num_ops=2, magnitude=9, interpolation='bilinear'),
    dict(type='PILToNumpy', to_bgr=True),
    dict(type='RandomErasing', erase_prob=0.25, min_area_ratio=0.02, max_area_ratio=0.33, fill_color=(0, 0, 0)),
    dict(type='PackInputs')]
test_pipeline = [
    dict(type='LoadImageFromFile', imdecode_backend='pillow'),
    dict(type='ResizeEdge', scale=128, backend='pillow', interpolation='bicubic'),
    dict(type='CenterCrop', crop_size=128),
    dict(type='PackInputs')]

train_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='CustomDataset', data_root=data_root, metainfo=metainfo, data_prefix='train', pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=50,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='CustomDataset', data_root=data_root, metainfo=metainfo, data_prefix='val', pipeline=test_pipeline))
test_dataloader = val_dataloader

val_evaluator = dict(type='Accuracy', topk=(1, 5))
test_evaluator = val_evaluator
