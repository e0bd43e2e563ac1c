"""Runtime of all segmentation configs: the best checkpoint by mIoU, pictures of image, truth and prediction."""
_base_ = ['runtime.py']
default_scope = 'mmseg'
default_hooks = dict(
    labels=dict(type='mvit3_bench.CheckLabelsHook'),
    checkpoint=dict(save_best='mIoU', rule='greater'),
    visualization=dict(type='SegVisualizationHook'))
visualizer = dict(type='mvit3_bench.SideBySideVisualizer', vis_backends=[dict(type='LocalVisBackend')], name='visualizer')
