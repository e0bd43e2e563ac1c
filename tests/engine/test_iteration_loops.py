"""Trainings that count iterations: checkpoints at intervals, a signal that saves, and going on from there."""
import os
import signal
from pathlib import Path

import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

import mvit3_bench.compat  # noqa: F401
from mvit3_bench.checkpoints.io import read_file
from mvit3_bench.engine.hooks.checkpoint import CheckpointHook
from mvit3_bench.engine.hooks.preemption import PreemptionHook, Stopped
from mvit3_bench.errors import CheckpointError


class Data(list):
    """Sixteen numbers; an item is a number and its place."""

    def __init__(self, **metainfo):
        super().__init__(range(16))
        self.metainfo = metainfo

    def __getitem__(self, index):
        return dict(inputs=torch.tensor([float(index)]))


class Model(BaseModel):
    """A line, which is pulled to zero and notes what it saw."""

    def __init__(self):
        super().__init__()
        self.line = nn.Linear(1, 1)
        nn.init.ones_(self.line.weight)
        self.seen = []

    def forward(self, inputs, mode='tensor'):
        inputs = torch.stack(inputs)
        if mode == 'loss':
            self.seen.append(inputs.flatten().tolist())
            return dict(loss=self.line(inputs).pow(2).mean())
        return [inputs]


class Metric(BaseMetric):
    """Better each time."""
    calls = 0

    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        Metric.calls += 1
        return dict(acc=Metric.calls / 1000)


class At(Hook):
    """Do something before an iteration."""

    def __init__(self, iteration, do):
        self.iteration, self.do = iteration, do

    def before_train_iter(self, runner, *args, **kwargs):
        if runner.iter == self.iteration:
            self.do(runner)


@pytest.fixture
def runner(tmp_path):
    """A runner in the folder ``run``: ``runner(*hooks, checkpoint=dict(...), train_cfg=dict(...), **kwargs)``."""
    def make(*hooks, metainfo=None, accumulate=1, sampler='InfiniteSampler', **kwargs):
        checkpoint = kwargs.pop('checkpoint', dict(interval=1, max_keep_ckpts=2, save_best='acc', rule='greater'))
        make.count += 1
        loader = dict(dataset=dict(type=Data, **metainfo or {}), batch_size=2, num_workers=0,
                      sampler=dict(type='DefaultSampler', shuffle=False))
        torch.manual_seed(0)
        return Runner(**dict(dict(
            model=Model(), work_dir=str(tmp_path / 'run'), experiment_name=f'{tmp_path}{make.count}',
            default_scope='mmengine', log_level='WARNING', randomness=dict(seed=0),
            train_dataloader=dict(loader, sampler=dict(type=sampler, shuffle=True, seed=1)), val_dataloader=loader,
            train_cfg=dict(type='IterBasedTrainLoop', max_iters=12, val_interval=4), val_cfg=dict(),
            val_evaluator=dict(type=Metric),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=1e-3, momentum=0.9), accumulative_counts=accumulate),
            param_scheduler=dict(type='PolyLR', by_epoch=False, begin=0, end=12), custom_hooks=[PreemptionHook(), *hooks],
            default_hooks=dict(checkpoint=CheckpointHook(**checkpoint), logger=None)), **kwargs))
    make.count = 0
    return make


def stop_at(iteration, number=signal.SIGTERM):
    """A hook that sends a signal to this process."""
    return At(iteration, lambda runner: os.kill(os.getpid(), number))


def test_checkpoints_at_intervals(tmp_path, runner):
    """With the runtime of our configs, one for each validation; the latest two stay, and the best."""
    runner().train()
    names = sorted(path.name for path in (tmp_path / 'run').glob('*.pth'))
    assert names == ['best_acc_iter_12.pth', 'iter_12.pth', 'iter_8.pth']
    assert read_file(tmp_path / 'run' / 'iter_8.pth')['meta']['iter'] == 8


@pytest.mark.parametrize('number, accumulate, iteration, saved', [(signal.SIGTERM, 1, 5, 6), (signal.SIGUSR1, 2, 6, 8)])
def test_stopped_and_resumed(tmp_path, runner, number, accumulate, iteration, saved):
    """A signal saves after the next step of the optimiser; resumed, the batches and the weights are those of a whole run."""
    whole = runner(accumulate=accumulate)
    whole.train()
    folder = tmp_path / 'parts'
    first = runner(stop_at(iteration, number), accumulate=accumulate, work_dir=str(folder))
    with pytest.raises(Stopped):
        first.train()
    last = (folder / 'last_checkpoint').read_text()
    assert read_file(last)['meta']['iter'] == saved
    second = runner(accumulate=accumulate, work_dir=str(folder), resume=True, load_from=last)
    second.train()
    assert first.model.seen + second.model.seen == whole.model.seen and len(first.model.seen) == saved
    assert torch.equal(second.model.line.weight, whole.model.line.weight)
    assert {path.name for path in folder.glob('*iter_*.pth')} == {'best_acc_iter_12.pth', 'iter_8.pth', 'iter_12.pth'}


def test_signal_at_the_end(tmp_path, runner):
    """In the last iteration, the validation takes place, and the stop finds all saved."""
    with pytest.raises(Stopped):
        runner(stop_at(11)).train()
    assert (tmp_path / 'run' / 'last_checkpoint').read_text().endswith('iter_12.pth')
    assert not list((tmp_path / 'run').glob('epoch_*'))


def test_checkpoints_by_the_clock(tmp_path, runner):
    """They replace each other."""
    made = runner(At(7, lambda runner: (tmp_path / 'names').write_text(str(sorted(
        path.name for path in (tmp_path / 'run').glob('*.pth'))))), checkpoint=dict(interval=1, every_minutes=1e-9))
    made.train()
    assert (tmp_path / 'names').read_text() == "['epoch_0_iter_7.pth', 'iter_4.pth']"


@pytest.mark.parametrize('loop, sampler', [
    (dict(type='IterBasedTrainLoop', max_iters=12, val_interval=4), 'InfiniteSampler'),
    (dict(type='mvit3_bench.ResumableTrainLoop', max_epochs=2), 'DefaultSampler')])
def test_notes_that_cannot_be_read(tmp_path, runner, loop, sampler):
    """Values of hooks and data sets that no checkpoint can hold are left out and named, and the run can be resumed."""
    def note(made):
        made.message_hub.update_info('place', dict(folder=Path('x'), good=3))
        made.message_hub.update_info('scales', {0.5: 1})
    made = runner(At(0, note), metainfo=dict(classes=('a',), root=Path('data')), train_cfg=loop, sampler=sampler)
    told = []
    made.logger.warning = told.append
    made.train()
    last = (tmp_path / 'run' / 'last_checkpoint').read_text()
    checkpoint = read_file(last)
    assert checkpoint['meta']['dataset_meta'] == dict(classes=('a',))
    assert checkpoint['message_hub']['runtime_info']['place'] == dict(good=3)
    told = [line for line in told if 'left out' in line]
    assert len(told) == 2 and 'meta.dataset_meta.root (PosixPath)' in told[0]
    assert 'message_hub.runtime_info.place.folder (PosixPath)' in told[1]
    assert 'message_hub.runtime_info.scales: the key 0.5 (float)' in told[1]
    longer = {key: value + 1 if key.startswith('max_') else value for key, value in loop.items()}
    again = runner(train_cfg=longer, sampler=sampler, resume=True, load_from=last)
    again.train()
    assert again.message_hub.get_info('place') == dict(good=3)


def test_state_that_cannot_be_read(tmp_path, runner):
    """What a run cannot go on without is an error at the first save, which names it."""
    def spoil(made):
        made.param_schedulers[0].since = Path('x')
    with pytest.raises(CheckpointError, match=r'param_schedulers\.0\.since \(PosixPath\)'):
        runner(At(0, spoil)).train()
    assert not list((tmp_path / 'run').glob('*.pth'))
