"""mmpose, mmyolo and mmrotate take our backbones by `type='mvit3_bench.MobileViTv3'`, and train a step with them."""
import numpy as np
import pytest
import torch

pytest.importorskip('mmengine', reason='mmengine is not installed')

import mvit3_bench.compat  # noqa: E402, F401, I001  before those that want mmcv's operators
from mmengine.registry import MODELS, init_default_scope  # noqa: E402
from mmengine.structures import InstanceData, PixelData  # noqa: E402

BACKBONE = dict(type='mvit3_bench.MobileViTv3', arch='s')
PREPROCESSOR = dict(mean=[0, 0, 0], std=[255, 255, 255], bgr_to_rgb=False)


def build(package, **config):
    """A model of a package."""
    pytest.importorskip(package, reason=f'{package} is not installed')
    if package == 'mmpose':
        import mmpose.models  # noqa: F401
    __import__(f'{package}.utils', fromlist=['register_all_modules']).register_all_modules(init_default_scope=False)
    init_default_scope(package)
    return MODELS.build(config | dict(_scope_=package))


def trains(model, data):
    """A step of training reaches the first convolution of our backbone."""
    losses = model.loss(**model.data_preprocessor(data, training=True))
    loss, _ = model.parse_losses(losses)
    loss.backward()
    assert loss.isfinite() and model.backbone.stem.conv.weight.grad.abs().sum() > 0
    model.eval()


def test_mmpose():
    """A heatmap head on the map at stride 32."""
    model = build(
        'mmpose', type='TopdownPoseEstimator', data_preprocessor=dict(type='PoseDataPreprocessor', **PREPROCESSOR),
        backbone=dict(BACKBONE, out_indices=(4,)), test_cfg=dict(flip_test=False),
        head=dict(type='HeatmapHead', in_channels=320, out_channels=17, deconv_out_channels=(64, 64, 64),
                  loss=dict(type='KeypointMSELoss', use_target_weight=True),
                  decoder=dict(type='MSRAHeatmap', input_size=(96, 128), heatmap_size=(24, 32), sigma=2)))
    from mmpose.structures import PoseDataSample
    samples = []
    for _ in range(2):
        sample = PoseDataSample(metainfo=dict(input_size=(96, 128), input_center=[48., 64.], input_scale=[96., 128.],
                                              flip_indices=list(range(17))))
        sample.gt_fields = PixelData(heatmaps=torch.rand(17, 32, 24))
        sample.gt_instance_labels = InstanceData(keypoint_weights=torch.ones(1, 17))
        sample.gt_instances = InstanceData(bboxes=np.array([[0., 0., 96., 128.]]), bbox_scores=np.ones(1))
        samples.append(sample)
    data = dict(inputs=[torch.randint(256, (3, 128, 96)) for _ in samples], data_samples=samples)
    trains(model, data)
    found, _ = model.test_step(data)
    assert found.pred_instances.keypoints.shape == (1, 17, 2)
