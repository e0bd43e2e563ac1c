"""BCCD, blood cells of 3 classes, 640x480, in COCO's format: images/ and annotations/{train,val,test}.json.

An example of one's own data: `CocoDataset` with the classes in `metainfo`, in the order of the json. Validation picks the
checkpoint, and test is what to report.
"""
_base_ = ['coco_ssdlite.py']
data_root = 'data/bccd'
metainfo = dict(classes=('RBC', 'WBC', 'Platelets'), palette=[(220, 20, 60), (0, 0, 142), (250, 170, 30)])

# mmdetection's own transforms, not those of the published recipes
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
    dict(type='PhotoMetricDistortion'),
    dict(type='PackDetInputs')]
test_pipeline = [
    dict(type='LoadImageFromFile', imdecode_backend='pillow'),
    dict(type='Resize', scale=image_size, keep_ratio=False),
    # after Resize: boxes of the truth are those of the image as it is
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))]

dataset = dict(data_root=data_root, metainfo=metainfo, data_prefix=dict(img='images'))

train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    dataset=dict(dataset, ann_file='annotations/train.json', pipeline=train_pipeline))
val_dataloader = dict(num_workers=2, dataset=dict(dataset, ann_file='annotations/val.json', pipeline=test_pipeline))
test_dataloader = dict(num_workers=2, dataset=dict(dataset, ann_file='annotations/test.json', pipeline=test_pipeline))

# without the limits of COCO: mmdet's
val_evaluator = dict(
    _delete_=True, type='mvit3_bench.CocoMetric', ann_file=f'{data_root}/annotations/val.json', metric='bbox')
test_evaluator = dict(
    _delete_=True, type='mvit3_bench.CocoMetric', ann_file=f'{data_root}/annotations/test.json', metric='bbox')
