"""An exported file in the place of its model: the same predictions, in the form that the framework's metrics read."""
import copy

import conftest
import pytest
import torch
from mmengine.registry import DATASETS, init_default_scope
from test_export import whole
from test_quantise import mini

from mvit3_bench.deploy.export import export
from mvit3_bench.deploy.file_model import FileModel, form_of
from mvit3_bench.engine.input_size import input_size
from mvit3_bench.errors import UsageError


@pytest.mark.parametrize('raw', [True, False])
@pytest.mark.parametrize('task', conftest.TASKS)
def test_predicts_as_the_model(tmp_path, run_dir, task, raw):
    """On images of the config's test set, with and without the post-processing in the file."""
    cfg, model = mini(task), whole(conftest.TASKS[task])
    size = input_size(cfg)
    export(model, size, 'torch', tmp_path / 'model.pt2', raw=raw)
    init_default_scope(cfg.default_scope)
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    items = [dataset[index] for index in range(2)]
    data = {key: [item[key] for item in items] for key in ('inputs', 'data_samples')}
    expected = model.test_step(copy.deepcopy(data))
    found = FileModel(model, tmp_path / 'model.pt2', size).test_step(copy.deepcopy(data))
    for ours, theirs in zip(found, expected, strict=True):
        if task == 'classification':
            assert torch.equal(ours.pred_label, theirs.pred_label)
            assert raw or torch.allclose(ours.pred_score, theirs.pred_score, atol=1e-5)
        elif task == 'segmentation':
            one, other = (each.pred_sem_seg.data for each in (ours, theirs))
            assert one.shape == other.shape and (one == other).float().mean() > 0.999
        else:
            one, other = (each.pred_instances for each in (ours, theirs))
            assert len(one) == len(other) > 0
            assert torch.allclose(one.scores, other.scores, atol=1e-5)
            assert torch.allclose(one.bboxes.mean(0), other.bboxes.mean(0), rtol=1e-3)


def test_what_cannot_be_tested(tmp_path, run_dir, tool):
    """A file that is not there, one that is damaged, images of another size, flags of checkpoints: named."""
    model = whole(conftest.TASKS['classification'])
    with pytest.raises(UsageError, match=r'none\.pt2 does not exist'):
        FileModel(model, tmp_path / 'none.pt2', (64, 64))
    (tmp_path / 'damaged.pt2').write_bytes(b'nothing')
    with pytest.raises(UsageError, match=r'damaged\.pt2 cannot be loaded: '):
        FileModel(model, tmp_path / 'damaged.pt2', (64, 64))
    export(model, (64, 64), 'torch', tmp_path / 'model.pt2')
    data = dict(inputs=torch.zeros(1, 3, 64, 96, dtype=torch.uint8), data_samples=[None])
    with pytest.raises(UsageError, match=r'an image of 64x96, and .*model\.pt2 takes 64x64'):
        FileModel(model, tmp_path / 'model.pt2', (64, 64)).test_step(data)
    outcome = tool('test', conftest.ROOT / 'configs' / conftest.TASKS['classification'], 'model.pt2', '--mini', '--deploy')
    assert outcome.code == 1 and '--deploy is for checkpoints, and model.pt2 is an exported file' in outcome.output
    assert form_of('a.pth') is None and form_of('b/a.tflite') == 'litert'


def test_by_the_command(tmp_path, run_dir, tool):
    """The whole test of a config, with its metrics."""
    from mmengine.registry import MODELS
    cfg = mini('classification')
    init_default_scope('mmpretrain')
    export(MODELS.build(cfg.model), input_size(cfg), 'torch', tmp_path / 'model.pt2')
    outcome = tool('test', conftest.ROOT / 'configs' / conftest.TASKS['classification'], 'model.pt2', '--mini',
                   '--work-dir', 'work')
    assert outcome.code == 0 and 'accuracy/top1' in outcome.output, outcome.output
