"""Runtime of all classification configs: the best checkpoint by top-1, batch norms of each GPU for itself."""
_base_ = ['runtime.py']
default_scope = 'mmpretrain'
sync_bn = None
default_hooks = dict(
    labels=dict(type='mvit3_bench.CheckLabelsHook'),
    checkpoint=dict(save_best='accuracy/top1', rule='greater'),
    sync_buffers=dict(type='mvit3_bench.SyncBuffersHook'),  # each GPU has running statistics of its own
    visualization=dict(type='mvit3_bench.ClsVisualizationHook', resize=360))
visualizer = dict(type='UniversalVisualizer', vis_backends=[dict(type='LocalVisBackend')], name='visualizer')
