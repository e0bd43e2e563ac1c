"""ADE20K (150 classes) with the published augmentation of the v2 type, at a crop of 512."""
data_root = 'data/ade/ADEChallengeData2016'
crop_size = (512, 512)

train_pipeline = [
    dict(
        type='mvit3_bench.Load',
        transforms=[
            dict(type='LoadImageFromFile', imdecode_backend='pillow'),
            dict(type='LoadAnnotations')]),
    dict(
        type='mvit3_bench.ResizeShortSide',
        scale=(256, 768),
        max_size=1024,
        backend='pillow',
        interpolation='bicubic'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Pad', size=crop_size, pad_val=dict(img=0, seg=255)),  # right and below
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='mmpretrain.GaussianBlur', prob=0.5, magnitude_range=(0.0, 1.0), magnitude_std='inf'),
    dict(type='mvit3_bench.PhotometricDistortionV2'),
    dict(type='RandomRotate', prob=1.0, degree=10, pad_val=0, seg_pad_val=255),
    dict(type='PackSegInputs')]
test_pipeline = [
    dict(type='LoadImageFromFile', imdecode_backend='pillow'),
    dict(type='mvit3_bench.ResizeShortSide', scale=512, backend='pillow', interpolation='bicubic'),
    # after the resize: the prediction is resized to the mask, not the mask to the prediction
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs')]

train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='ADE20KDataset',
        data_root=data_root,
        data_prefix=dict(img_path='images/training', seg_map_path='annotations/training'),
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ADE20KDataset',
        data_root=data_root,
        data_prefix=dict(img_path='images/validation', seg_map_path='annotations/validation'),
        pipeline=test_pipeline))
test_dataloader = val_dataloader

val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
