"""The store of results: what is recorded, and what is refused with the file and the field in the message."""
import dataclasses
import hashlib
import json

import conftest
import pytest
import torch

from mvit3_bench.errors import ResultError
from mvit3_bench.results.store import Result, read, write

CONFIG = conftest.ROOT / 'configs' / 'cls' / 'mvit3_xxs_in1k.py'
FIELDS = [field.name for field in dataclasses.fields(Result)]


def result(**changes) -> Result:
    """A result that nobody measured, for the tests alone."""
    return Result(**dict(
        dict(id='run', config='cls/mvit3_s_in1k.py', model='mvit3_s', task='classification',
             dataset='ImageNet in data/imagenet', mini=False, images=50_000,
             metrics={'accuracy/top1': 79.25}, origin='converted weights', checkpoint='s.pth',
             sha256='0' * 64, source='checkpoint_ema_best.pt', seed=None, commit=None, hardware='a machine',
             date='2026-11-24', command='python tools/test.py'), **changes))


def refused(folder, content, name='run.json') -> str:
    """The message about a file of the store."""
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(ResultError) as error:
        read(folder)
    return str(error.value)


def test_round_trip(tmp_path):
    """What was written is read, oldest first; miniature folders need not exist."""
    assert read(tmp_path / 'absent') == []
    newer, older = result(id='a', date='2026-11-24'), result(id='b', date='2026-11-23', seed=0, commit='abc')
    assert write(tmp_path / 'store', newer).name == 'a.json'
    write(tmp_path / 'store', older)
    assert read(tmp_path / 'store') == [older, newer]


@pytest.mark.parametrize('field', FIELDS)
def test_missing_field(tmp_path, field):
    """Every field has to be there."""
    content = dataclasses.asdict(result())
    del content[field]
    message = refused(tmp_path, content)
    assert str(tmp_path / 'run.json') in message and f"field '{field}' is missing" in message


@pytest.mark.parametrize('field, value, wanted', [
    ('model', 'mvit3_xl', "unknown arch 'xl'"), ('model', 'resnet_50', 'mvit3_ARCH'), ('model', 3, 'wanted: str'),
    ('origin', 'untrained', 'trained here, converted weights'), ('task', 'pose', 'classification, detection, segmentation'),
    ('images', 0, '1 or more'), ('images', True, 'wanted: int'), ('mini', 1, 'wanted: bool'), ('seed', '0', 'int or null'),
    ('metrics', {}, 'finite numbers'), ('metrics', {'mIoU': '40'}, 'finite numbers'),
    ('metrics', {'mIoU': float('nan')}, 'finite numbers'), ('sha256', 'abc', '64 hexadecimal'),
    ('date', '24.11.2026', 'YYYY-MM-DD'), ('id', '../run', 'letters'), ('machine', 'x', 'is not known')])
def test_impossible_field(tmp_path, field, value, wanted):
    """A value that cannot be is refused on reading, and on writing."""
    message = refused(tmp_path, dataclasses.asdict(result()) | {field: value})
    assert str(tmp_path / 'run.json') in message and f"field '{field}'" in message and wanted in message
    if field in FIELDS:
        with pytest.raises(ResultError, match=f"not recorded: field '{field}'"):
            write(tmp_path / 'other', result(**{field: value}))
        assert not (tmp_path / 'other').exists()


def test_no_result(tmp_path):
    """A file that holds something else is named."""
    message = refused(tmp_path, '[]')
    assert str(tmp_path / 'run.json') in message and 'found list' in message


@pytest.mark.parametrize('content', ['{"id": "run", "conf', ''])
def test_half_written(tmp_path, monkeypatch, content):
    """A half-written file is named and left out; the other results are read."""
    lines = []
    monkeypatch.setattr('mmengine.logging.print_log', lambda text, **_: lines.append(text))
    write(tmp_path, result())
    (tmp_path / 'half.json').write_text(content)
    assert read(tmp_path) == [result()]
    assert len(lines) == 1 and 'half.json is no json' in lines[0] and 'left out' in lines[0]


def test_order_within_a_day(tmp_path):
    """The newest result of a day is the last, whatever the hashes in the ids are."""
    ids = ['x-ffffffff-20261124T090000', 'x_mini-aaaaaaaa-20261124T100000', 'x-00000000-20261124T110000']
    for each in reversed(ids):
        write(tmp_path, result(id=each))
    assert [each.id for each in read(tmp_path)] == ids


def test_no_id_is_refused_before_the_test(run_dir, tool, weights):
    """A config whose name cannot be part of an id is refused before anything is tested."""
    config, file = weights['classification']
    (run_dir / 'my config.py').write_text(f"_base_ = ['{config}']\n")
    torch.save(torch.load(file) | dict(meta=dict(names='published', source='x.pt')), 'x.pth')
    outcome = tool('test', 'my config.py', 'x.pth', '--mini', '--record', 'store', '--cfg-options', *conftest.short(config))
    assert outcome.code == 1 and "field 'id'" in outcome.output, outcome.output
    assert 'Epoch(test)' not in outcome.output and not (run_dir / 'store').exists()


def test_two_of_one_id(tmp_path):
    """Two files with one id are both named, and a result never takes the place of another."""
    write(tmp_path, result())
    with pytest.raises(ResultError, match='never replaced'):
        write(tmp_path, result(images=1))
    message = refused(tmp_path, dataclasses.asdict(result()), 'copy.json')
    assert str(tmp_path / 'run.json') in message and str(tmp_path / 'copy.json') in message and "'run'" in message


def test_recorded(trained, run_dir, tool):
    """test.py --record writes a result that tells everything, marked miniature; without the flag it writes none."""
    pytest.importorskip('mmpretrain', reason='mmpretrain is not installed')
    file = trained(CONFIG) / 'epoch_1.pth'
    outcome = tool('test', CONFIG, file, '--mini', '--record', 'store', '--cfg-options', *conftest.short(CONFIG))
    assert outcome.code == 0, outcome.output
    found, = read(run_dir / 'store')
    assert f'recorded: store/{found.id}.json' in outcome.output
    assert (found.config, found.model, found.task) == ('cls/mvit3_xxs_in1k.py', 'mvit3_xxs', 'classification')
    assert (found.mini, found.images, found.origin, found.seed) == (True, 4, 'trained here', 3)
    assert found.sha256 == hashlib.sha256(file.read_bytes()).hexdigest() and found.checkpoint == 'epoch_1.pth'
    assert found.percent('top1') == found.metrics['accuracy/top1'] and found.percent('mIoU') is None
    assert found.command.startswith('python tools/test.py ') and 'cores' in found.hardware
    assert not (run_dir / 'docs').exists()


@pytest.mark.parametrize('content, wanted', [
    (None, 'an untrained model has no result'),
    (dict(state_dict={}), 'does not tell where its weights are from'),
    (dict(state_dict={}, meta=dict(cfg='', iter=0)), 'before the first iteration')], ids=['none', 'no meta', 'iteration 0'])
def test_untrained_is_refused(run_dir, tool, content, wanted):
    """Weights of no known origin are refused before they are tested."""
    pytest.importorskip('mmpretrain', reason='mmpretrain is not installed')
    from mmengine.config import Config

    from mvit3_bench.registry import MODELS
    if content is not None:
        cfg = Config.fromfile(CONFIG)
        model = MODELS.build(cfg.model | dict(_scope_=cfg.default_scope))
        torch.save(content | dict(state_dict=model.state_dict()), 'x.pth')
    outcome = tool('test', CONFIG, 'none' if content is None else 'x.pth', '--mini', '--record', 'store')
    assert outcome.code == 1 and wanted in outcome.output and 'Traceback' not in outcome.output
    assert not (run_dir / 'store').exists()
