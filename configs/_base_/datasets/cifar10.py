"""CIFAR-10, 10 classes, 32x32, enlarged to 64x64: train/CLASS, test/CLASS, and the lists train.txt and val.txt.

`mvit3 cifar10` makes all of it. A tenth of the training images, 5,000, is for validation, and test is what to report.
"""
data_root = 'data/cifar10'
metainfo = dict(
    classes=('airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck'))

train_pipeline = [
    dict(
        type='mvit3_bench.Load',
        transforms=[dict(type='LoadImageFromFile', imdecode_backend='pillow')]),
    dict(type='RandomCrop', crop_size=32, padding=4),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Resize', scale=64, interpolation='bicubic'),
    dict(type='PackInputs')]
test_pipeline = [
    dict(type='LoadImageFromFile', imdecode_backend='pillow'),
    dict(type='Resize', scale=64, interpolation='bicubic'),
    dict(type='PackInputs')]

dataset = dict(type='CustomDataset', data_root=data_root, metainfo=metainfo)
train_dataloader = dict(
    batch_size=64,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(dataset, data_prefix='train', ann_file='train.txt', pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=100,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(dataset, data_prefix='train', ann_file='val.txt', pipeline=test_pipeline))
test_dataloader = dict(val_dataloader, dataset=dict(dataset, data_prefix='test', pipeline=test_pipeline))

val_evaluator = dict(type='Accuracy', topk=(1, 5))
test_evaluator = val_evaluator
