"""Latencies of a suite's models, in its table."""
from pathlib import Path

import pytest
import yaml

from mvit3_bench.suite import latency
from mvit3_bench.suite.file import read_suite
from mvit3_bench.suite.table import make_table

for package in ('mmpretrain', 'timm', 'onnxruntime', 'onnxscript'):
    pytest.importorskip(package)
FILE = dict(runs=[dict(configs=['study/cifar10'], seeds=[0, 1], backbones=['timm/test_efficientnet'])])


def test_latency(tmp_path, monkeypatch):
    """Each backbone is measured once, in turns; the table has it, and how it was measured."""
    monkeypatch.setattr(latency, 'ROUNDS', 2)
    Path(tmp_path / 'tiny.yaml').write_text(yaml.safe_dump(FILE))
    suite = read_suite(str(tmp_path / 'tiny.yaml'), folder=tmp_path)
    said = []
    latency.measure(suite, said.append)
    measured = latency.read(suite)['models']
    assert list(measured) == [f'study/cifar10.py --backbone {name}' for name in FILE['runs'][0]['backbones']], said
    assert all(0 < each['quartile_1_ms'] <= each['median_ms'] <= each['quartile_3_ms'] < 1000 for each in measured.values())
    text = make_table(suite, {})
    assert 'study/cifar10 ms' in text and f' {next(iter(measured.values()))["median_ms"]:.2f} |' in text
    assert 'batch 1, median of 2 rounds' in text


@pytest.mark.parametrize('key', ['model.data_preprocessor.type', 'model.backbne.x'])
def test_model_without_latency(tmp_path, monkeypatch, key):
    """A model that cannot be built or exported leaves its cell empty, and the log says why."""
    monkeypatch.setattr(latency, 'ROUNDS', 1)
    file = dict(runs=[dict(configs=['study/cifar10'], backbones=['timm/test_efficientnet'], options={key: 'nonsense'})])
    Path(tmp_path / 'tiny.yaml').write_text(yaml.safe_dump(file))
    said = []
    latency.measure(read_suite(str(tmp_path / 'tiny.yaml'), folder=tmp_path), said.append)
    assert said[0].startswith('study/cifar10.py --backbone timm/test_efficientnet has no latency: ')
