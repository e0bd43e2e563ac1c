"""Real images through the pipelines. They are not part of the project: MVIT3_REAL_DATA names a folder with samples.tar."""
import os
import tarfile
from pathlib import Path

import conftest
import numpy as np
import pytest
import torch
from mmengine.config import Config

from mvit3_bench import compat  # noqa: F401  before mmseg

pytest.importorskip('mmseg', reason='mmsegmentation is not installed')

REAL = os.environ.get('MVIT3_REAL_DATA')
pytestmark = pytest.mark.skipif(not REAL, reason='MVIT3_REAL_DATA is not set')


@pytest.fixture(scope='module')
def samples(tmp_path_factory):
    """A few images and labels of each data set."""
    folder = tmp_path_factory.mktemp('real')
    with tarfile.open(Path(REAL) / 'samples.tar') as tar:
        tar.extractall(folder, filter='data')
    return folder / 'samples'


@pytest.fixture
def ade20k(samples):
    """The first three validation pairs of ADE20K, in mmseg's layout."""
    return samples / 'ade20k'


@pytest.mark.parametrize('split', ['train', 'val'])
def test_ade20k_pipeline(ade20k, split):
    """Three real ADE20K pairs pass the training and the testing pipeline of the ADE20K config."""
    from mmengine.registry import init_default_scope
    from mmseg.registry import DATASETS, MODELS

    cfg = Config.fromfile(conftest.ROOT / 'configs' / 'seg' / 'deeplabv3_mvit3_1.0_ade20k.py')
    init_default_scope('mmseg')
    loader = cfg[f'{split}_dataloader'].dataset
    loader.update(data_root=str(ade20k),
                  data_prefix=dict(img_path='images/validation', seg_map_path='annotations/validation'))
    samples = list(DATASETS.build(loader))
    assert len(samples) == 3
    for sample in samples:
        labels = np.unique(sample['data_samples'].gt_sem_seg.data.numpy())
        assert set(labels) <= set(range(150)) | {255} and len(labels) > 1
        height, width = sample['inputs'].shape[1:]
        if split == 'train':
            assert height <= 512 and width <= 512
        else:
            assert min(height, width) == 512
            assert sample['data_samples'].gt_sem_seg.shape == sample['data_samples'].ori_shape
    if split == 'train':
        batch = dict(inputs=[s['inputs'] for s in samples], data_samples=[s['data_samples'] for s in samples])
        inputs = MODELS.build(cfg.model.data_preprocessor)(batch, training=True)['inputs']
        assert inputs.shape == (3, 3, 512, 512)
        assert 0 <= inputs.min() < inputs.max() <= 1
        # the pipeline gives BGR, the network of the v2 type wants RGB
        first = samples[0]['inputs']
        assert torch.allclose(inputs[0, 0, :first.shape[1], :first.shape[2]], first[2] / 255, atol=1e-6)


def test_coco_pipeline(samples):
    """Eight real images of COCO's val pass the testing pipeline, and their truth scored against itself has an AP of 1."""
    pytest.importorskip('mmdet', reason='mmdetection is not installed')
    from mmdet.registry import DATASETS, METRICS
    from mmengine.registry import init_default_scope

    from mvit3_bench.datasets.checks.data import check_data

    cfg = Config.fromfile(conftest.ROOT / 'configs' / 'det' / 'ssdlite_mvit3_xxs_coco.py')
    annotations = 'annotations/instances_val2017_subset.json'
    cfg.val_dataloader.dataset.update(data_root=str(samples / 'coco'), ann_file=annotations)
    cfg.val_evaluator.ann_file = str(samples / 'coco' / annotations)
    check_data(cfg, ('val_dataloader',))
    init_default_scope('mmdet')
    dataset = DATASETS.build(cfg.val_dataloader.dataset)
    metric = METRICS.build(cfg.val_evaluator)
    metric.dataset_meta = dataset.metainfo
    assert len(dataset) == 8
    boxes = 0
    for item in dataset:
        sample = item['data_samples']
        assert item['inputs'].shape == (3, 320, 320)
        truth = sample.gt_instances
        boxes += len(truth)
        height, width = sample.ori_shape
        assert (truth.bboxes.tensor <= torch.tensor([width, height] * 2)).all()
        assert sample.scale_factor == pytest.approx((320 / width, 320 / height))
        pred = dict(bboxes=truth.bboxes.tensor, labels=truth.labels, scores=torch.ones(len(truth)))
        metric.process({}, [dict(sample.metainfo, pred_instances=pred)])
    assert boxes == 46  # and one that stands for a crowd
    assert metric.evaluate(8)['coco/bbox_mAP'] == 1
