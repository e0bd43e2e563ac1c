"""COCO 2017 (80 categories) with the published augmentation of SSDLite, at 320x320 without keeping the ratio."""
data_root = 'data/coco'
image_size = (320, 320)

train_pipeline = [
    dict(
        type='mvit3_bench.Load',
        transforms=[
            dict(type='LoadImageFromFile', imdecode_backend='pillow'),
            dict(type='LoadAnnotations', with_bbox=True)]),
    dict(type='MinIoURandomCrop'),
    dict(type='Resize', scale=image_size, keep_ratio=False),
    dict(type='RandomFlip', prob=0.5),
    # published before the resize; after it, the same but for rounding, and several times as fast
    dict(type='PhotoMetricDistortion'),
    dict(type='PackDetInputs')]
test_pipeline = [
    dict(type='LoadImageFromFile', imdecode_backend='pillow'),
    dict(type='Resize', scale=image_size, keep_ratio=False),
    # after Resize: boxes of the truth are those of the image as it is
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))]

train_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='CocoDataset',
        data_root=data_root,
        ann_file='annotations/instances_train2017.json',
        data_prefix=dict(img='train2017'),
        filter_cfg=dict(filter_empty_gt=True),  # an image without boxes has no loss
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CocoDataset',
        data_root=data_root,
        ann_file='annotations/instances_val2017.json',
        data_prefix=dict(img='val2017'),
        test_mode=True,
        pipeline=test_pipeline))
test_dataloader = val_dataloader

val_evaluator = dict(
    type='mvit3_bench.CocoMetric',
    ann_file=f'{data_root}/annotations/instances_val2017.json',
    metric='bbox',
    proposal_nums=(1, 10, 100))  # as in pycocotools: at most 100 detections of a class in an image count
test_evaluator = val_evaluator
