"""BCCD, blood cells of 3 classes, 640x480, in COCO's format: images/ and annotations/{train,val,test}.json.

An example of one's own data: `CocoDataset` with the classes in `metainfo`, in the order of the json. Validation picks the
checkpoint, and test is what to report.
"""
_base_ = ['coco_ssdlite.py']
data_root = 'data/bccd'
metainfo = dict(classes=('RBC', 'WBC', 'Platelets'), palette=[(220, 20, 60), (0, 0, 142), (250, 170, 30)])
dataset = dict(data_root=data_root, metainfo=metainfo, data_prefix=dict(img='images'))

train_dataloader = dict(batch_size=8, num_workers=2, dataset=dict(dataset, ann_file='annotations/train.json'))
val_dataloader = dict(num_workers=2, dataset=dict(dataset, ann_file='annotations/val.json'))
test_dataloader = dict(num_workers=2, dataset=dict(dataset, ann_file='annotations/test.json'))

# mmdet's own metric, with which the results of docs/results were measured
val_evaluator = dict(_delete_=True, type='CocoMetric', ann_file=f'{data_root}/annotations/val.json', metric='bbox')
test_evaluator = dict(_delete_=True, type='CocoMetric', ann_file=f'{data_root}/annotations/test.json', metric='bbox')
