"""VOC2012 (20 classes and background) with the extra annotations of SBD, in mmseg's layout, at a crop of 512.

Augmentation and test are those of ADE20K, as published for the v2 type.
"""
_base_ = ['ade20k.py']
data_root = 'data/VOCdevkit/VOC2012'

train_dataloader = dict(
    batch_size=32,
    num_workers=8,
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            dict(
                type='PascalVOCDataset',
                data_root=data_root,
                ann_file='ImageSets/Segmentation/train.txt',
                data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
                pipeline=_base_.train_pipeline),
            # of another folder, with COCO's images too: tools/convert_coco_to_voc.py
            dict(
                type='PascalVOCDataset',
                data_root=data_root,
                ann_file='ImageSets/Segmentation/aug.txt',
                data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClassAug'),
                pipeline=_base_.train_pipeline)]))
val_dataloader = dict(
    dataset=dict(
        type='PascalVOCDataset',
        data_root=data_root,
        ann_file='ImageSets/Segmentation/val.txt',
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass')))
test_dataloader = val_dataloader
