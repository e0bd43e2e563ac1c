"""VOC2012 with the published augmentation and test of the v1 type, which read and resize with OpenCV."""
_base_ = ['voc2012_v2type.py']
crop_size = (512, 512)

train_pipeline = [
    dict(
        type='mvit3_bench.Load',
        transforms=[
            dict(type='LoadImageFromFile', imdecode_backend='cv2'),
            dict(type='LoadAnnotations')]),
    dict(type='mvit3_bench.ResizeShortSide', scale=(256, 1024)),
    dict(type='mvit3_bench.ResizeShortSide', scale=512, enlarge_only=True),  # so that the crop needs no padding
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs')]
test_pipeline = [
    dict(type='LoadImageFromFile', imdecode_backend='cv2'),
    dict(type='Resize', scale=(512, 512), keep_ratio=False),
    # after the resize: the prediction is resized to the mask, not the mask to the prediction
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs')]

train_dataloader = dict(
    batch_size=12,
    num_workers=4,
    dataset=dict(datasets=[dict(part, pipeline=train_pipeline) for part in _base_.train_dataloader.dataset.datasets]))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
