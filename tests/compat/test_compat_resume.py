"""mvit3_bench.compat: resuming is safe."""
import os
import pickle
import re

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer

import mvit3_bench.compat  # noqa: F401  allows the types of MMEngine's checkpoints
from mvit3_bench.errors import CheckpointError


def save_and_load(value, tmp_path):
    """What `torch.load`, in its safe mode, makes of a saved value."""
    torch.save(value, tmp_path / 'value.pth')
    return torch.load(tmp_path / 'value.pth', weights_only=True)


def make_runner(work_dir, epochs: int, resume: bool = False):
    """A run that fits a line to four points on the CPU, with EMA, best score and a data set."""
    from mmengine.dataset import BaseDataset
    from mmengine.evaluator import BaseMetric
    from mmengine.model import BaseModel
    from mmengine.runner import Runner

    class Points(BaseDataset):
        METAINFO = dict(classes=('point',), palette=[(1, 2, 3)], mean=np.array([0.5, 1.5]))

        def load_data_list(self):
            return [dict(x=torch.tensor([float(x)])) for x in range(4)]

    class Line(BaseModel):

        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)

        def forward(self, x, sample_idx=None, mode='tensor'):
            return dict(loss=(self.layer(x) - x).square().mean()) if mode == 'loss' else [x]

    class Score(BaseMetric):

        def process(self, data_batch, data_samples):
            self.results.append(1)

        def compute_metrics(self, results):
            return dict(score=np.float64(0.5), per_class=np.array([0.25, 0.75]))

    loader = dict(batch_size=2, dataset=Points(metainfo=ConfigDict(label_map=dict(old=1))),
                  sampler=dict(type='DefaultSampler', shuffle=False),
                  collate_fn=dict(type='default_collate'))
    return Runner(
        model=Line(), work_dir=str(work_dir), resume=resume,
        train_dataloader=loader, val_dataloader=loader, val_evaluator=[Score()], val_cfg=dict(),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.01)),
        param_scheduler=[dict(type='LinearLR', start_factor=0.1, end=1),
                         dict(type='CosineAnnealingLR', T_max=4, begin=1)],
        default_hooks=dict(checkpoint=dict(
            type='CheckpointHook', save_best='score', rule='greater', max_keep_ckpts=2)),
        custom_hooks=[dict(type='EMAHook')], experiment_name=f'compat_{work_dir.name}_{epochs}')


def test_run_is_resumed_with_its_history(tmp_path):
    """A real checkpoint of MMEngine loads safely, and the run goes on with its history."""
    make_runner(tmp_path, epochs=2).train()
    checkpoint = torch.load(tmp_path / 'epoch_2.pth', weights_only=True)
    losses = checkpoint['message_hub']['log_scalars']['train/loss']
    assert type(losses) is HistoryBuffer and len(losses.data[0]) == 4
    assert losses.statistics('mean', 2) == losses.data[0][-2:].mean() == losses.mean(2)
    assert checkpoint['message_hub']['runtime_info']['best_score'] == 0.5
    np.testing.assert_array_equal(checkpoint['meta']['dataset_meta']['mean'], [0.5, 1.5])

    runner = make_runner(tmp_path, epochs=3, resume=True)
    runner.train()
    assert runner.epoch == 3 and runner.iter == 6
    history = runner.message_hub.get_scalar('train/loss').data[0]
    np.testing.assert_array_equal(history[:4], losses.data[0])
    assert len(history) == 6
    torch.load(tmp_path / 'epoch_3.pth', weights_only=True)  # and can be resumed once more


@pytest.mark.parametrize('value', [
    np.float64(0.1), np.float32(0.1), np.int64(-3), np.bool_(True), np.str_('mIoU'),
    np.complex64(1j), np.array([]), np.array(2.5), np.array(['a', 'bc']), np.array([True, False]),
    np.arange(6).reshape(2, 3), np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.arange(3, dtype='>i4'), np.zeros(5000)], ids=lambda v: f'{type(v).__name__}_{v.dtype}')
def test_numpy_values_survive(value, tmp_path):
    """Numbers, text and arrays of numpy come back equal, and can be saved again."""
    first = save_and_load(value, tmp_path)
    second = save_and_load(first, tmp_path)
    for loaded in (first, second):
        assert isinstance(loaded, type(value))
        assert loaded.dtype == value.dtype.newbyteorder('=')  # numpy itself restores it native
        np.testing.assert_array_equal(loaded, value)


@pytest.mark.parametrize('module', [b'numpy.core.', b'numpy._core.'], ids=['numpy 1', 'numpy 2'])
def test_numpys_names_are_known(tmp_path, module):
    """A checkpoint written under numpy 1, where `numpy._core` was `numpy.core`, loads under 2, and the other way round."""
    path = tmp_path / 'old.pth'
    torch.save([np.arange(3), np.float64(2)], path, _use_new_zipfile_serialization=False)
    written, count = re.subn(rb'numpy\._?core\.', module, path.read_bytes())
    assert count
    path.write_bytes(written)
    array, number = torch.load(path, weights_only=True)
    assert array.tolist() == [0, 1, 2] and number == 2


def test_empty_history_and_config_dict_survive(tmp_path):
    """A history without entries, and a dictionary out of a config, come back as they were."""
    history, config = save_and_load([HistoryBuffer(), ConfigDict(a=dict(b=1))], tmp_path)
    assert type(history) is HistoryBuffer and len(history.data[0]) == 0
    assert type(config) is ConfigDict and config.a.b == 1


class Reduced:
    """Pickles as the call `function(*args)`, followed by setting `state` if there is one."""

    def __init__(self, function, *args, state=None):
        self.parts = (function, args) if state is None else (function, args, state)

    def __reduce__(self):
        return self.parts


def poisoned_history(**attributes):
    """A HistoryBuffer that would carry foreign attributes into the loading process."""
    history = HistoryBuffer([1.0], [1])
    history.__dict__.update(attributes)
    return history


HOSTILE = {
    'system': lambda touch: Reduced(os.system, touch),
    'eval': lambda touch: Reduced(eval, f'__import__("os").system({touch!r})'),
    'in_a_list': lambda touch: dict(meta=[(1, Reduced(os.system, touch))]),
    'in_an_array': lambda touch: np.array([Reduced(os.system, touch)], dtype=object),
    'in_a_history': lambda touch: poisoned_history(max_length=Reduced(os.system, touch)),
    'getattr_init': lambda touch: Reduced(getattr, HistoryBuffer, '__init__'),
    'getattr_update': lambda touch: Reduced(getattr, HistoryBuffer, 'update'),
    'getattr_of_tensor': lambda touch: Reduced(getattr, torch.Tensor, 'mean'),
    'getattr_of_text': lambda touch: Reduced(getattr, 'os', 'system'),
    'getattr_of_getattr': lambda touch: Reduced(
        getattr, Reduced(getattr, HistoryBuffer, 'mean'), '__globals__'),
    'shadowed_method': lambda touch: poisoned_history(mean=HistoryBuffer.max),
    'objects': lambda touch: np.array([{}], dtype=object),
    'records': lambda touch: np.zeros(1, dtype=[('a', 'i4')]),
    'forged_dtype': lambda touch: Reduced(np.dtype, 'V8', False, True, state=(
        3, '|', None, ('a',), {'a': (np.dtype('O'), 0)}, 8, 1, 0)),
    'foreign_memory': lambda touch: Reduced(np.ndarray, (1,), 'f8', bytearray(8)),
}


@pytest.mark.parametrize('name', HOSTILE)
def test_hostile_file_is_refused(name, tmp_path):
    """A file made to run code is refused by `torch.load`, and nothing of it is run."""
    mark = tmp_path / 'executed'
    torch.save(HOSTILE[name](f'touch {mark}'), tmp_path / 'hostile.pth')
    before = dict(HistoryBuffer._statistics_methods)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / 'hostile.pth', weights_only=True)
    assert not mark.exists()
    assert HistoryBuffer._statistics_methods == before


@pytest.mark.parametrize('name', HOSTILE)
def test_hostile_file_is_refused_by_mmengine(name, tmp_path):
    """MMEngine's own loading refuses it, too: onedl-mmengine would fall back to reading it unsafely."""
    from mmengine.runner import CheckpointLoader
    mark = tmp_path / 'executed'
    torch.save(HOSTILE[name](f'touch {mark}'), tmp_path / 'hostile.pth')
    with pytest.raises(CheckpointError, match='hostile.pth'):
        CheckpointLoader.load_checkpoint(str(tmp_path / 'hostile.pth'), 'cpu')
    assert not mark.exists()


def test_array_is_filled_only_once(tmp_path):
    """New memory for an array that is in use is refused: a tensor may look at the old."""
    array = save_and_load(np.arange(4.0), tmp_path)
    with pytest.raises(pickle.UnpicklingError, match='twice'):
        array.__setstate__(np.arange(8.0).__reduce__()[2])
