"""An exported file in the place of its model: the same predictions, in the form that the framework's metrics read."""
import copy

import conftest
import pytest
import torch
from mmengine.registry import DATASETS, init_default_scope
from test_export import whole
from test_quantise import mini
from torch.nn import functional as F

from mvit3_bench.deploy.export import export
from mvit3_bench.deploy.file_model import FileModel, form_of
from mvit3_bench.engine.input_size import input_size
from mvit3_bench.errors import UsageError


@pytest.mark.parametrize('raw', [True, pytest.param(False, marks=pytest.mark.slow(reason='an export each'))])
@pytest.mark.parametrize('task', conftest.TASKS)
def test_predicts_as_the_model(tmp_path, run_dir, task, raw):
    """On images of the config's test set, with and without the post-processing in the file."""
    cfg, model = mini(task), whole(conftest.TASKS[task])
    init_default_scope(cfg.default_scope)
    item = DATASETS.build(cfg.test_dataloader.dataset)[0]
    size = (128, 160) if task == 'segmentation' else tuple(item['inputs'].shape[1:])
    item['inputs'] = F.interpolate(item['inputs'][None].float(), size, mode='nearest')[0].byte()
    item['data_samples'].set_metainfo(dict(img_shape=size))
    export(model, size, 'torch', tmp_path / 'model.pt2', raw=raw)
    data = dict(inputs=[item['inputs']], data_samples=[item['data_samples']])
    expected = model.test_step(copy.deepcopy(data))
    found = FileModel(model, tmp_path / 'model.pt2', size).test_step(copy.deepcopy(data))
    for ours, theirs in zip(found, expected, strict=True):
        if task == 'classification':
            assert torch.equal(ours.pred_label, theirs.pred_label)
            assert torch.allclose(ours.pred_score, theirs.pred_score, atol=1e-5)
        elif task == 'segmentation':
            one, other = (each.pred_sem_seg.data for each in (ours, theirs))
            assert one.shape == other.shape and (one == other).float().mean() > (0.999 if raw else 0.9)
        else:
            one, other = (each.pred_instances for each in (ours, theirs))
            assert len(one) == len(other) > 0
            assert torch.allclose(one.scores, other.scores, atol=1e-5)
            # each has its own of the same label among those of the same score, for equal ones may change places
            distance = (one.bboxes[:, None] - other.bboxes).abs().amax(2) + 1e3 * (one.labels[:, None] != other.labels)
            distance += 1e3 * ((one.scores[:, None] - other.scores).abs() > 1e-5)
            share = torch.cat([distance.amin(0) < 0.1, distance.amin(1) < 0.1]).float().mean()
            assert share > 0.98 and (share == 1 or not raw)  # NMS in the file may keep another of two equal ones


def test_what_cannot_be_tested(tmp_path, run_dir, tool):
    """A file that is not there, one that is damaged, flags of checkpoints: named."""
    model = whole(conftest.TASKS['classification'])
    with pytest.raises(UsageError, match=r'none\.pt2 does not exist'):
        FileModel(model, tmp_path / 'none.pt2', (64, 64))
    (tmp_path / 'damaged.pt2').write_bytes(b'nothing')
    with pytest.raises(UsageError, match=r'damaged\.pt2 cannot be loaded: '):
        FileModel(model, tmp_path / 'damaged.pt2', (64, 64))
    outcome = tool('test', conftest.ROOT / 'configs' / conftest.TASKS['classification'], 'model.pt2', '--mini', '--deploy')
    assert outcome.code == 1 and '--deploy is for checkpoints, and model.pt2 is an exported file' in outcome.output
    assert form_of('a.pth') is None and form_of('b/a.tflite') == 'litert'


@pytest.mark.parametrize('task', ['detection', 'segmentation'])
def test_images_of_another_size(tmp_path, run_dir, task):
    """They are resized, with a warning; boxes and masks are those of the image."""
    cfg, model = mini(task), whole(conftest.TASKS[task])
    export(model, (160, 160), 'torch', tmp_path / 'model.pt2', raw=True)
    init_default_scope(cfg.default_scope)
    item = DATASETS.build(cfg.test_dataloader.dataset)[0]
    large = F.interpolate(item['inputs'][None].float(), (320, 480), mode='nearest')[0].byte()
    small = F.interpolate(large[None].float(), (160, 160), mode='bilinear')[0]
    sample = item['data_samples']
    sample.set_metainfo(dict(img_shape=(320, 480), ori_shape=(320, 480), scale_factor=(1.0, 1.0)))
    file_model = FileModel(model, tmp_path / 'model.pt2', (320, 320))  # the file knows better
    with pytest.warns(UserWarning, match='of other sizes, such as 320x480, than'):
        found, = file_model.test_step(dict(inputs=[large], data_samples=[copy.deepcopy(sample)]))
    if task == 'segmentation':
        assert found.pred_sem_seg.data.shape == (1, 320, 480)
    else:
        sample.set_metainfo(dict(scale_factor=(1 / 3, 1 / 2)))
        expected, = file_model.test_step(dict(inputs=[small], data_samples=[sample]))
        assert torch.allclose(found.pred_instances.bboxes, expected.pred_instances.bboxes, atol=1e-2)


def test_by_the_command(tmp_path, run_dir, tool):
    """The whole test of a config, with its metrics."""
    from mmengine.registry import MODELS
    cfg = mini('classification')
    init_default_scope('mmpretrain')
    export(MODELS.build(cfg.model), input_size(cfg), 'torch', tmp_path / 'model.pt2')
    outcome = tool('test', conftest.ROOT / 'configs' / conftest.TASKS['classification'], 'model.pt2', '--mini',
                   '--work-dir', 'work')
    assert outcome.code == 0 and 'accuracy/top1' in outcome.output, outcome.output
