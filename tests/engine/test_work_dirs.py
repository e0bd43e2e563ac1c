"""What a run may delete, go on from and take for its own: files of its folder, by names of ours."""
import os
import shutil
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import conftest
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.fileio import LocalBackend
from mmengine.hooks import EMAHook

import mvit3_bench.compat  # noqa: F401, I001
from mvit3_bench.engine import lr_scaling, run_config
from mvit3_bench.engine.hooks.checkpoint import CheckpointHook
from mvit3_bench.errors import UsageError

DETECTION = conftest.ROOT / 'configs' / conftest.TASKS['detection']


class Hub:
    """What the hook asks of MMEngine's message hub."""

    def __init__(self, **runtime_info):
        self.runtime_info = runtime_info
        self.update_info, self.get_info = runtime_info.__setitem__, runtime_info.__getitem__


def hook_of(folder: Path, hub: Hub) -> tuple[CheckpointHook, SimpleNamespace]:
    """A hook and a runner that has resumed from a checkpoint with these notes, and whose checkpoints are small."""
    import logging

    def save(out_dir, filename, *args, **kwargs):
        Path(out_dir, filename).write_bytes(b'new')
    folder.mkdir(exist_ok=True)
    runner = SimpleNamespace(work_dir=str(folder), train_loop=None, _resume=True, message_hub=hub, epoch=2, iter=20,
                             logger=logging.getLogger('test'), save_checkpoint=save)
    hook = CheckpointHook(save_best='acc', rule='greater', max_keep_ckpts=2)
    hook.before_train(runner)
    hook.file_backend = LocalBackend()
    return hook, runner


@pytest.mark.parametrize('named', ['run1/best_acc_epoch_1.pth', 'notes.txt', 'run2/notes.txt', 'run2/../best_x.pth'])
def test_files_of_others_stay(tmp_path, named):
    """A better validation deletes no file that a checkpoint names outside the run's folder, or by a name not ours."""
    for folder in ('run1', 'run2'):
        (tmp_path / folder).mkdir()
    (tmp_path / named).write_bytes(b'precious')
    hook, runner = hook_of(tmp_path / 'run2', Hub(best_ckpt=str(tmp_path / named), best_score=0.1))
    hook._save_best_checkpoint(runner, dict(acc=0.5))
    assert (tmp_path / named).read_bytes() == b'precious'
    best, = (tmp_path / 'run2').glob('best_acc_*.pth')
    hook._save_best_checkpoint(SimpleNamespace(**vars(runner) | dict(epoch=3)), dict(acc=0.9))
    assert not best.exists() and len(list((tmp_path / 'run2').glob('best_acc_*.pth'))) == 1


def test_kept_numbers_are_numbers(tmp_path):
    """Text in place of the numbers of kept checkpoints names no file to delete."""
    (tmp_path / 'run' / 'epoch_x').mkdir(parents=True)
    (tmp_path / 'victim.pth').write_bytes(b'precious')
    hook_of(tmp_path / 'run', Hub(keep_ckpt_ids=['x/../../victim', 1, 2]))
    assert (tmp_path / 'victim.pth').exists()


def test_copies_within_an_epoch_stay(tmp_path):
    """The checkpoint within an epoch is replaced, a copy of it by another name is not."""
    hook, runner = hook_of(tmp_path, Hub())
    for name in ('epoch_3_iter_1200.pth', 'epoch_3_iter_1200_backup.pth'):
        (tmp_path / name).write_bytes(b'old')
    hook._write(runner, 'epoch_4.pth', 4, 40)
    assert sorted(path.name for path in tmp_path.glob('*.pth')) == ['epoch_3_iter_1200_backup.pth', 'epoch_4.pth']


def test_copied_work_dir(tmp_path):
    """The best checkpoint is the recorded one, the latest that in the copy, whatever the times of the files."""
    original, copy = tmp_path / 'run', tmp_path / 'copy'
    original.mkdir()
    hub = dict(runtime_info=dict(best_ckpt=str(original / 'best_acc_epoch_1.pth')))
    torch.save(dict(state_dict={}, message_hub=hub), original / 'epoch_2.pth')
    (original / 'epoch_1.pth').touch()
    (original / 'last_checkpoint').write_text(str(original / 'epoch_2.pth'))
    shutil.copytree(original, copy)
    os.utime(copy / 'epoch_2.pth', (1, 1))
    (copy / 'epoch_3.pth').touch()  # not the run's, which names another
    assert run_config.find_checkpoint(str(copy)) == str(copy / 'epoch_2.pth')
    for number in (1, 2):
        (copy / f'best_acc_epoch_{number}.pth').touch()
    os.utime(copy / 'best_acc_epoch_1.pth', (1, 1))
    assert run_config.find_checkpoint(str(copy)) == str(copy / 'best_acc_epoch_1.pth')
    assert run_config.latest_checkpoint(copy) == str(copy / 'epoch_2.pth')


def test_mini_of_a_dumped_config(run_dir):
    """It does not write into the folder of the run that dumped the config."""
    cfg = Config.fromfile(DETECTION)
    cfg.work_dir = 'work_dirs/full'
    cfg.dump('dumped.py')

    def work_dir(**given):
        args = Namespace(config='dumped.py', mini=True, backbone=None, cfg_options=None, work_dir=None, launcher='none',
                         local_rank=0)
        return run_config.load_config(Namespace(**vars(args) | given)).work_dir
    assert work_dir() == 'work_dirs/dumped_mini'
    assert work_dir(mini=False) == 'work_dirs/full'
    assert work_dir(cfg_options=['work_dir=mine']) == 'mine'


@pytest.mark.parametrize('given', [dict(work_dir='caf\udce9'), dict(cfg_options=['val_evaluator.ann_file=caf\udce9.json'])])
def test_words_that_are_no_text(run_dir, given):
    """They are refused at once: neither the config nor the names of checkpoints could be written."""
    args = dict(config=str(DETECTION), mini=False, backbone=None, cfg_options=None, work_dir=None, launcher='none',
                local_rank=0)
    with pytest.raises(UsageError, match=r'caf\\udce9.* is not UTF-8'):
        run_config.load_config(Namespace(**args | given))


def test_mini_of_a_sparse_config(run_dir):
    """Schedulers, default hooks and the average's momentum may be missing."""
    from mvit3_bench.engine.mini import to_mini
    cfg = Config.fromfile(DETECTION)
    for key in ('param_scheduler', 'default_hooks'):
        cfg.pop(key)
    cfg.custom_hooks = [dict(type='EMAHook')]
    to_mini(cfg, run_dir / 'data' / 'mini')
    assert cfg.custom_hooks[0].momentum > 2e-4 and cfg.default_hooks.logger.interval <= 10


@pytest.mark.parametrize('layout', ['list', 'dict', 'of optimisers', 'none'])
def test_accumulate_where_iterations_are_counted(layout):
    """All lengths in iterations grow, whatever the layout of the schedulers."""
    step = dict(type='MultiStepLR', by_epoch=False, milestones=[60, 80], end=100)
    scheduler = dict(list=[step], dict=step, none=None) | {'of optimisers': dict(first=[step])}
    cfg = Config(dict(
        train_dataloader=dict(batch_size=4), optim_wrapper={}, param_scheduler=scheduler[layout],
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=100, val_interval=10),
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=10)),
        custom_hooks=[dict(type='mmengine.EMAHook', interval=2)]))
    lr_scaling.accumulate(cfg, '4', processes=1)
    assert (cfg.train_cfg.max_iters, cfg.train_cfg.val_interval, cfg.default_hooks.checkpoint.interval) == (400, 40, 40)
    assert cfg.custom_hooks[0].interval == 8
    for each in lr_scaling.schedulers(cfg):
        assert each.milestones == [240, 320] and each.end == 400
    assert len(lr_scaling.schedulers(cfg)) == (layout != 'none')


@pytest.mark.parametrize('kind', ['EMAHook', 'mmengine.EMAHook', 'mvit3_bench.EMAHook', EMAHook])
def test_averages_by_any_name(kind):
    """With or without a scope, or as a class."""
    assert lr_scaling.is_average(ConfigDict(type=kind))
    assert not lr_scaling.is_average(ConfigDict(type='mmengine.IterTimerHook'))


def test_fingerprint_of_roots_and_long_arrays():
    """A slash at the end of the root changes nothing; a number in the middle of a long array does."""
    import numpy as np

    from mvit3_bench.engine.run_info import fingerprint

    class Data(list):
        data_root = 'data/x'
        get_data_info = list.__getitem__

    def hashed(root, middle=0):
        values = np.zeros(2000)
        values[1000] = middle
        data = Data([dict(img_path=os.path.join(root, 'a.jpg'), values=values)])
        data.data_root = root
        return fingerprint(data)['hash']
    assert hashed('data/x') == hashed('data/x/') != hashed('data/x', middle=1)


@pytest.mark.parametrize('named, is_ours', [('elsewhere/epoch_2.pth', True), ('elsewhere/config.py', False), (7, False)])
def test_name_of_the_last_checkpoint(tmp_path, named, is_ours):
    """After a resumed validation the checkpoint is written again, by a name of ours alone."""
    hook, _ = hook_of(tmp_path / 'run', Hub(last_ckpt=named))
    assert hook._written == ((2, 20) if is_ours else None)
