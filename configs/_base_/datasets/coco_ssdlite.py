"""COCO 2017 (80 categories): what the two types of SSDLite share. Each has its own pipelines."""
data_root = 'data/coco'

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
        filter_cfg=dict(filter_empty_gt=True)))  # an image without boxes has no loss
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
        test_mode=True))
test_dataloader = val_dataloader

val_evaluator = dict(
    type='mvit3_bench.CocoMetric',
    ann_file=f'{data_root}/annotations/instances_val2017.json',
    metric='bbox',
    proposal_nums=(1, 10, 100))  # as in pycocotools: at most 100 detections of a class in an image count
test_evaluator = val_evaluator
