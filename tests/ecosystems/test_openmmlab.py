"""mmpose, mmyolo and mmrotate: the configs of docs/ecosystems.md build, train a step and predict."""
import re

import numpy as np
import pytest
import torch
from conftest import ROOT

pytest.importorskip('mmengine', reason='mmengine is not installed')

import mvit3_bench.compat  # noqa: E402, F401, I001  before those that want mmcv's operators
from mmengine.config import Config  # noqa: E402
from mmengine.registry import MODELS, init_default_scope  # noqa: E402
from mmengine.structures import InstanceData, PixelData  # noqa: E402

PAGE = (ROOT / 'docs' / 'ecosystems.md').read_text(encoding='utf-8')
CONFIGS = dict(re.findall(r'```python\n# (my_\w+)\.py\n(.*?)```', PAGE, re.DOTALL))


def build(package, name, tmp_path, **options):
    """The model of a config of the page."""
    pytest.importorskip(package, reason=f'{package} is not installed')
    (tmp_path / 'config.py').write_text(CONFIGS[name])
    cfg = Config.fromfile(tmp_path / 'config.py')
    cfg.merge_from_dict(options)
    init_default_scope(package)
    model = MODELS.build(cfg.model)
    assert model.backbone.stem.conv.weight.requires_grad
    return model


def trains(model, data):
    """A step of training reaches the first convolution of our backbone."""
    losses = model.train()(**model.data_preprocessor(data, training=True), mode='loss')
    loss, _ = model.parse_losses(losses)
    loss.backward()
    assert loss.isfinite() and model.backbone.stem.conv.weight.grad.abs().sum() > 0
    model.eval()


def pictures(height, width):
    return [torch.randint(256, (3, height, width), dtype=torch.uint8) for _ in range(2)]


def test_mmpose(tmp_path):
    """A heatmap head on the map at stride 32."""
    model = build('mmpose', 'my_pose', tmp_path, **{'model.test_cfg.flip_test': False})
    from mmpose.structures import PoseDataSample
    samples = []
    for _ in range(2):
        sample = PoseDataSample(metainfo=dict(
            input_size=(192, 256), input_center=np.array([96., 128.]), input_scale=np.array([192., 256.]),
            flip_indices=list(range(17))))
        sample.gt_fields = PixelData(heatmaps=torch.rand(17, 64, 48))
        sample.gt_instance_labels = InstanceData(keypoint_weights=torch.ones(1, 17))
        sample.gt_instances = InstanceData(bboxes=np.array([[0., 0., 192., 256.]]), bbox_scores=np.ones(1))
        samples.append(sample)
    data = dict(inputs=pictures(256, 192), data_samples=samples)
    trains(model, data)
    found, _ = model.test_step(data)
    assert found.pred_instances.keypoints.shape == (1, 17, 2)


def test_mmyolo(tmp_path):
    """YOLOv8 on the maps at strides 8, 16 and 32."""
    model = build('mmyolo', 'my_yolo', tmp_path)
    boxes = torch.tensor([[0, 1, 20., 30., 90., 80.], [1, 0, 10., 10., 60., 100.]])  # number of the image, label, corners
    trains(model, dict(inputs=torch.stack(pictures(128, 128)), data_samples=dict(bboxes_labels=boxes)))
    from mmdet.structures import DetDataSample
    meta = dict(ori_shape=(128, 128), img_shape=(128, 128), scale_factor=(1.0, 1.0), pad_param=np.zeros(4))
    samples = [DetDataSample(metainfo=meta) for _ in range(2)]
    found, _ = model.test_step(dict(inputs=pictures(128, 128), data_samples=samples))
    assert found.pred_instances.bboxes.shape[1] == 4


def test_mmrotate(tmp_path):
    """Rotated FCOS trains; to predict it needs an operator that mmcv-lite does not have, and the error names it."""
    model = build('mmrotate', 'my_rotated', tmp_path, **{'model.test_cfg.score_thr': 0.0})
    from mmdet.structures import DetDataSample
    from mmrotate.structures import RotatedBoxes
    samples = []
    for _ in range(2):
        sample = DetDataSample(metainfo=dict(img_shape=(128, 128), ori_shape=(128, 128), batch_input_shape=(128, 128),
                                             scale_factor=(1.0, 1.0)))
        sample.gt_instances = InstanceData(bboxes=RotatedBoxes([[60., 60., 50., 30., 0.4]]), labels=torch.tensor([1]))
        samples.append(sample)
    data = dict(inputs=pictures(128, 128), data_samples=samples)
    trains(model, data)
    with pytest.raises(Exception, match='nms_rotated'):
        model.test_step(data)
