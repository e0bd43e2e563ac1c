"""COCO 2017 with the published augmentation and test of SSDLite's v1 type, which read and resize with OpenCV."""
_base_ = ['coco_ssdlite.py']
image_size = (320, 320)

train_pipeline = [
    dict(
        type='mvit3_bench.Load',
        transforms=[
            dict(type='LoadImageFromFile', imdecode_backend='cv2'),
            dict(type='LoadAnnotations', with_bbox=True)]),
    dict(type='mvit3_bench.SSDCrop'),
    dict(type='mvit3_bench.PhotometricDistortionV1'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Resize', scale=image_size, keep_ratio=False),
    dict(type='PackDetInputs')]
test_pipeline = [
    dict(type='LoadImageFromFile', imdecode_backend='cv2'),
    dict(type='Resize', scale=image_size, keep_ratio=False),
    # after Resize: boxes of the truth are those of the image as it is
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))]

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
