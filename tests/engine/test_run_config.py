"""From a command line to a run: options that cannot be, work dirs, and what --resume means where there is nothing yet."""
import re
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import conftest
import pytest
import torch
from mmengine.config import Config

import mvit3_bench.compat  # noqa: F401  before mmseg

pytest.importorskip('mmseg', reason='mmsegmentation is not installed')

from mvit3_bench.engine.run_config import check_work_dir, earlier_run, find_checkpoint  # noqa: E402
from mvit3_bench.errors import UsageError  # noqa: E402

CONFIG = conftest.ROOT / 'configs' / conftest.TASKS['segmentation']


def test_checkpoint_of_a_copied_folder(tmp_path):
    """The numbers in the names decide, not the times, which are those of the copy."""
    for name in ('best_mIoU_epoch_12.pth', 'best_mIoU_epoch_9.pth', 'epoch_20.pth'):
        (tmp_path / name).touch()
    assert find_checkpoint(str(tmp_path)) == str(tmp_path / 'best_mIoU_epoch_12.pth')
    for name in ('best_mIoU_epoch_12.pth', 'best_mIoU_epoch_9.pth'):
        (tmp_path / name).unlink()
    (tmp_path / 'epoch_3.pth').touch()
    assert find_checkpoint(str(tmp_path)) == str(tmp_path / 'epoch_20.pth')
    for name in ('iter_9.pth', 'epoch_0_iter_10.pth'):
        (tmp_path / 'counted').mkdir(exist_ok=True)
        (tmp_path / 'counted' / name).touch()
    assert find_checkpoint(str(tmp_path / 'counted')) == str(tmp_path / 'counted' / 'epoch_0_iter_10.pth')
    with pytest.raises(UsageError, match='no checkpoint'):
        find_checkpoint(str(conftest.ROOT / 'docs'))


def test_another_run_keeps_its_best(trained, tool):
    """Resumed in another folder, a run removes nothing of the one that it goes on from, nor files of other names."""
    run = trained(CONFIG)
    checkpoint = torch.load(run / 'epoch_1.pth', weights_only=True)
    checkpoint['message_hub']['runtime_info']['best_score'] = -1.0  # so that the next validation is better
    torch.save(checkpoint, run / 'epoch_1.pth')
    kept = shutil.copy(run / 'epoch_1.pth', run / 'epoch_1_iter_2_backup.pth')
    outcome = tool('train', CONFIG, '--mini', '--work-dir', 'other', '--resume', run / 'epoch_1.pth', '--cfg-options',
                   *conftest.short(CONFIG), 'train_cfg.max_epochs=2')
    assert outcome.code == 0, outcome.output
    assert Path('other/best_mIoU_epoch_2.pth').is_file()
    assert (run / 'best_mIoU_epoch_1.pth').is_file() and Path(kept).is_file()


@pytest.mark.parametrize('part, fix', [('test_dataloader', 'val_dataloader'), ('test_evaluator', 'val_evaluator'),
                                       ('default_scope', "'mmdet', 'mmseg' or 'mmpretrain'")])
def test_config_without_a_test(run_dir, tool, weights, part, fix):
    """MMEngine trains such a config; a test says what it lacks."""
    config, checkpoint = weights['segmentation']
    Path('mine.py').write_text(f'_base_ = [{str(config)!r}]\n{part} = None\n')
    outcome = tool('test', 'mine.py', checkpoint, '--mini')
    assert outcome.code == 1 and f'error: the config has no {part}; write {part} = {fix}' in outcome.output, outcome.output


@pytest.mark.parametrize('first', [True, False])
def test_resume_without_a_checkpoint(run_dir, tool, weights, monkeypatch, first):
    """In an empty folder --resume begins a new run, with the weights that load_from names."""
    monkeypatch.setattr('mmengine.runner.Runner.train', lambda runner: print('loads', runner._load_from, runner._resume))
    outcome = tool('train', CONFIG, '--mini', '--work-dir', 'run', '--resume', '--cfg-options',
                   'randomness.seed=0', *([f'load_from={weights["segmentation"][1]}'] if first else []))
    assert outcome.code == 0, outcome.output
    assert f'loads {weights["segmentation"][1] if first else None} False' in outcome.output


@pytest.mark.parametrize('source, resumed', [(None, 'run/epoch_1.pth'), ('run/epoch_1.pth', 'run/epoch_1.pth')])
def test_resume_in_the_config(trained, tool, monkeypatch, source, resumed):
    """resume=True is --resume: from the latest checkpoint, or from that of load_from."""
    run = trained(CONFIG)
    monkeypatch.setattr('mmengine.runner.Runner.train', lambda runner: print('loads', runner._load_from, runner._resume))
    outcome = tool('train', CONFIG, '--mini', '--work-dir', run if source is None else 'other', '--cfg-options',
                   *conftest.short(CONFIG), 'resume=True', *([f'load_from={source}'] if source else []))
    assert outcome.code == 0 and 'will be replaced' not in outcome.output, outcome.output
    assert re.search(f'loads .*{resumed} True', outcome.output) and 'the config says resume=True' in outcome.output


def test_files_elsewhere(tmp_path, monkeypatch):
    """~ is the home folder, and an address on the web is fetched once."""
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.setattr('torch.hub.get_dir', lambda: str(tmp_path / 'hub'))
    assert find_checkpoint('~/x.pth') == str(tmp_path / 'x.pth')
    (tmp_path / 'site').mkdir()
    (tmp_path / 'site' / 'x.pth').write_bytes(b'weights')
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / 'site'))
    with ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f'http://127.0.0.1:{server.server_port}'
        with pytest.raises(UsageError, match=f'{url}/nothing.pth cannot be downloaded'):
            find_checkpoint(f'{url}/nothing.pth')
        for address in (f'{url}/a b.pth', f'{url}/', 'http://[x/y.pth'):
            with pytest.raises(UsageError):
                find_checkpoint(address)
        (tmp_path / 'site' / 'other').mkdir()
        (tmp_path / 'site' / 'other' / 'x.pth').write_bytes(b'others')
        found, other = (Path(find_checkpoint(f'{url}/{place}x.pth')) for place in ('', 'other/'))
        server.shutdown()
    assert (found.read_bytes(), other.read_bytes()) == (b'weights', b'others')
    assert find_checkpoint(f'{url}/x.pth') == str(found)


@pytest.mark.parametrize('options, flags, code, said', [
    ((), (), 0, ['2 checkpoints of an earlier run of this config, which will be replaced', 'starts']),
    (('default_hooks.logger.interval=7',), (), 1, [
        '2 checkpoints of another config, deeplabv3_mvit3_0.5_ade20k', 'default_hooks.logger.interval: ', '-> 7',
        'another --work-dir', '--resume']),
    (('default_hooks.logger.interval=7',), ('--resume',), 0, ['starts'])])
def test_folder_of_an_earlier_run(trained, tool, monkeypatch, options, flags, code, said):
    """A new run of the same config is warned that it replaces checkpoints, one of another config is refused."""
    run = trained(CONFIG)
    monkeypatch.setattr('mmengine.runner.Runner.train', lambda runner: print('starts'))
    before = {path: path.stat().st_mtime_ns for path in run.iterdir()}
    outcome = tool('train', CONFIG, '--mini', '--work-dir', run, *flags, '--cfg-options', *conftest.short(CONFIG), *options)
    assert outcome.code == code and all(each in outcome.output for each in said), outcome.output
    if code:
        assert 'Traceback' not in outcome.output and 'starts' not in outcome.output
        assert before == {path: path.stat().st_mtime_ns for path in run.iterdir()}


def test_earlier_run(tmp_path):
    """What a launcher adds is no other config; a checkpoint that tells no config is taken for one of another."""
    cfg = Config(dict(lr=1, work_dir=str(tmp_path)))
    assert earlier_run(cfg) == ([], '', [])
    (tmp_path / 'pretrained.pth').touch()  # by no name of a run's
    assert earlier_run(cfg) == ([], '', [])
    file = tmp_path / 'iter_10.pth'
    text = "lr = 1\nmodel_wrapper_cfg = dict(type='D')\n"
    torch.save(dict(meta=dict(cfg=text, experiment_name='a_20260101_000000')), file)
    assert earlier_run(cfg) == ([file], 'a', [])
    cfg.lr = 2
    assert earlier_run(cfg) == ([file], 'a', ['lr: 1 -> 2'])
    file.write_bytes(b'half')
    assert earlier_run(cfg) == ([file], '?', ['iter_10.pth does not tell its config'])


def test_work_dir_is_checked_for_all_processes(run_dir, tool, monkeypatch):
    """By the first one, whose error ends the others, too."""
    checked = []
    monkeypatch.setattr('mvit3_bench.engine.distributed.on_first', lambda call, *args: checked.append(call))
    monkeypatch.setattr('mmengine.runner.Runner.train', lambda runner: None)
    outcome = tool('train', CONFIG, '--mini', '--work-dir', 'run')
    assert outcome.code == 0 and check_work_dir in checked, outcome.output
