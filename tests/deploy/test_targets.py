"""The runtimes of phones: what is exported runs in each, and says what the model says; their packages; their table."""
import configparser
import json

import conftest
import pytest
from backbones import build
from test_deploy import lived_in
from test_export import needs, whole

from mvit3_bench.cli import export as command
from mvit3_bench.cli import targets as table_command
from mvit3_bench.deploy.export import export, size_of
from mvit3_bench.deploy.quantise import PACKAGES
from mvit3_bench.deploy.table import cells as table
from mvit3_bench.deploy.table.page import page
from mvit3_bench.deploy.targets import TARGETS, base
from mvit3_bench.errors import UsageError

DEVICE = [name for name, target in TARGETS.items() if target.device]
slow = pytest.mark.slow(reason='each export takes up to a minute or two')


@slow
@pytest.mark.parametrize('form', DEVICE)
@pytest.mark.parametrize('family, arch', [('v3', 'xxs'), ('v3', '0.5'), ('v1', 'xxs'), ('v2', '0.5')])
def test_backbones(tmp_path, form, family, arch):
    """Several maps, in their order; Core ML is converted, and run on Apple machines alone."""
    needs(form)
    out = tmp_path / f'model{TARGETS[form].suffix}'
    done = export(lived_in(build(family, arch, out_indices=(1, -1))), (64, 96), form, out)
    assert sorted(tmp_path.iterdir()) == sorted(done.files) and size_of(done.files[0]) > 1000
    assert list(done.deviations) == ([] if done.operators else [1]) and max(done.deviations.values(), default=0) < 1e-4


@slow
@pytest.mark.parametrize('form', DEVICE)
@pytest.mark.parametrize('path', ['det/ssdlite_mvit3_xxs_coco.py', 'seg/deeplabv3_mvit3_0.5_ade20k.py'])
def test_whole_models(tmp_path, form, path):
    """A format that cannot hold the post-processing says so, and ends before it."""
    needs(form)
    said = []
    done = export(whole(path), (96, 128), form, tmp_path / f'model{TARGETS[form].suffix}', log=said.append, note='a test')
    task = dict(det='detection', seg='segmentation')[path[:3]]
    assert done.raw == (task not in TARGETS[form].finishes)
    assert done.raw == any('cannot hold the post-processing' in each for each in said)
    assert list(done.outputs) == (['boxes', 'scores'] if task == 'detection' else ['logits' if done.raw else 'labels'])
    notes = [json.loads(file.read_text()) for file in done.files if file.suffix == '.json']
    assert form == 'coreml' or notes[0]['origin'] == 'a test'


def test_an_old_version(monkeypatch):
    """Named, with the version found and the line that installs another."""
    monkeypatch.setattr(base, 'find_spec', lambda name: True)
    monkeypatch.setattr(base, 'version', lambda package: '1.4.2+cpu')
    with pytest.raises(ImportError, match="needs executorch>=1.5, found executorch 1.4.2.* pip install 'executorch>=1.5'"):
        TARGETS['executorch'].require('executorch')
    monkeypatch.setattr(base, 'version', lambda package: '1.10.0')
    TARGETS['executorch'].require('executorch')
    monkeypatch.setattr(base, 'find_spec', lambda name: None)
    with pytest.raises(ImportError, match=r"needs pnnx, ncnn: pip install 'pnnx>=20261020' 'ncnn>="):
        TARGETS['ncnn'].require('ncnn')


def test_extras():
    """Each target's packages are those of its extra; the parsers repeat the names."""
    setup = configparser.ConfigParser()
    setup.read(conftest.ROOT / 'setup.cfg')
    for name, target in TARGETS.items():
        extra = setup['options.extras_require'][target.extra].split('\n') if target.extra else []
        assert set(target.packages.values()) <= set(extra), name
        assert name in ('torch', target.extra)  # a separate extra
    assert setup['options.extras_require']['int8'].split() == [*PACKAGES['openvino', 'int8'].values()]
    assert tuple(TARGETS) == command.TARGETS
    assert tuple(table.MODELS) == table_command.MODELS and base.TASKS == table_command.TASKS


def test_table(tmp_path):
    """A file that is none is refused; the page shows each cell, and the reason of one that failed once."""
    file = tmp_path / 'targets.json'
    content = table.read(file, 'mvit3 targets')
    assert not content['cells'] and content['versions']['onnx']
    cell = dict(config='c', size=[64, 64], files=['f'], bytes=5.25e6, raw=True, operators={}, deviation=2.4e-6, seconds=1)
    content['cells'] = {
        'litert/detection/v3-S': cell | dict(latency=dict(median_ms=12.3, p90_ms=13.0, calls=30)),
        'coreml/detection/v3-S': cell | dict(deviation=None, raw=False),
        **{f'ncnn/detection/{model}': dict(config='c', failed='pnnx: no\nsuch layer') for model in ('v3-S', 'v1-S')}}
    table.write(file, content)
    assert table.read(file, 'other') == content
    text = page(content)
    assert '2e-06, 5.2 MB, 12 ms, raw' in text and 'converted, 5.2 MB' in text and 'not tried' in text
    assert text.count('no (1)') == 2 and text.count('1. pnnx: no such layer') == 1
    for wrong in ('[]', 'nothing'):
        file.write_text(wrong)
        with pytest.raises(UsageError, match='is no table of exported files'):
            table.read(file, '')


def test_page_is_not_stale():
    """The committed page is what its file gives; every float file that ran is within 1e-3 standard deviations."""
    content = json.loads((conftest.ROOT / 'docs/results/targets.json').read_text())
    assert (conftest.ROOT / 'docs/results/targets.md').read_text() == page(content)
    assert all((cell.get('deviation') or 0) < 1e-3 for cell in content['cells'].values())


@slow
def test_table_by_the_command(tmp_path):
    """A cell is recorded at once, not made again, and timed later."""
    from mvit3_bench.cli import common
    args = ['--models', 'v3-XXS', '--tasks', 'classification', '--to', 'torch', '--out', str(tmp_path / 'table.json'),
            '--files', str(tmp_path / 'files')]
    common.run(table_command, 'mvit3 targets', argv=args)
    before = json.loads((tmp_path / 'table.json').read_text())
    cell, = before['cells'].values()
    assert cell['deviation'] < 1e-4 and cell['bytes'] > 1e6
    common.run(table_command, 'mvit3 targets', argv=[*args, '--latency', '--page', str(tmp_path / 'page.md')])
    cell, = json.loads((tmp_path / 'table.json').read_text())['cells'].values()
    assert cell.pop('latency')['median_ms'] > 0 and [cell] == list(before['cells'].values())
    assert 'MB' in (tmp_path / 'page.md').read_text()


def test_a_crash_is_recorded():
    """A runtime that ends its process leaves a reason."""
    assert 'the process ended' in table.separately(_end)['failed']


def _end() -> dict:
    import os
    os._exit(1)
