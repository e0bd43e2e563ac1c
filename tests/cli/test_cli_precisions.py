"""The table of precisions: its cells, their comparison with the model, its page."""
import argparse
import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

from mvit3_bench.cli import precisions as command
from mvit3_bench.deploy.quantise import PRECISIONS, WRITERS
from mvit3_bench.deploy.table.precisions import page
from mvit3_bench.errors import UsageError


def test_choices():
    """The parser repeats formats and precisions."""
    assert tuple(WRITERS) == command.TARGETS


def test_cells():
    """Each precision that a format has; INT8 with layers in float where the quantiser knows them."""
    args = Namespace(to=['onnx', 'litert'], precisions=PRECISIONS, sensitivity=5)
    assert [key for key, *_ in command.cells(Path('runs/a'), args)] == [
        'a/onnx/float32', 'a/onnx/float16', 'a/onnx/bfloat16', 'a/onnx/int8', 'a/onnx/int8, 5 layers in float',
        'a/litert/float32', 'a/litert/int8']


def test_compare(tmp_path):
    """Score, difference and agreement of two classifiers, by hand."""
    label = np.arange(8) % 2
    for name, predicted in dict(model=label, file=np.where(np.arange(8) < 2, 1 - label, label)).items():
        np.savez(tmp_path / f'{name}.npz', predicted=predicted, label=label, names='x')
    found = command.compare(tmp_path / 'model.npz', tmp_path / 'file.npz')
    low, high = found.pop('difference')[1:]
    assert low < -25 < high <= 0
    assert found == dict(images=8, score=75, score_of_model=100, agreement=0.75)


def test_page():
    """Latency against float32 of the same format, and the reason of what failed."""
    cell = dict(bytes=5e6, score=80.0, difference=[-0.5, -1.0, 0.25], agreement=0.975, kept=[])
    content = dict(command='mvit3 precisions', date='2026-01-01', versions={}, machine=dict.fromkeys(
        ('cpu', 'cores', 'threads', 'memory_gb', 'python', 'torch'), '?'), cells={
            'run/onnx/float32': cell | dict(latency=dict(median_ms=3.0), agreement=None),
            'run/onnx/int8': cell | dict(latency=dict(median_ms=2.0), kept=['model.head'], profile=dict(Conv=1.25, Add=0.5)),
            'run/litert/int8': dict(failed='no\nsuch thing')})
    text = page(content)
    assert '-0.50 [-1.00, +0.25]' in text and '97.50%' in text and '1.50' in text and '1. no such thing' in text
    assert '- run/onnx/int8: **1.8**: Conv 1.2, Add 0.5, others 0.0' in text
    assert '- run/onnx/int8: model.head' in text and text.count('no (1)') == 1


def test_page_is_not_stale():
    """A committed page is what its file gives; a file of float32 scores what the model does, to 0.01 points."""
    files = list((ROOT / 'docs/results').glob('precisions*.json'))
    assert len(files) == 2
    for file in files:
        content = json.loads(file.read_text())
        assert file.with_suffix('.md').read_text() == page(content), file
        exact = [cell for key, cell in content['cells'].items() if key.endswith('/float32')]
        assert exact and all(abs(cell['difference'][0]) < 0.01 for cell in exact)


def test_not_a_work_dir(tmp_path):
    """A folder without a config is named."""
    with pytest.raises(UsageError, match=r'has 0 configs \(\*\.py\)'):
        command.config_of(tmp_path)


@pytest.mark.parametrize('flag, number', [('--calibration', 0), ('--sensitivity', -1)])
def test_wrong_numbers(tmp_path, flag, number):
    """A number that is not possible is refused before anything is made, and is no result."""
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    args = parser.parse_args([str(tmp_path), flag, str(number), '--out', str(tmp_path / 'table.json')])
    with pytest.raises(UsageError, match=f'{flag} {number} is not possible'):
        command.main(args)
    assert not [*tmp_path.iterdir()]


@pytest.mark.slow(reason='a training, two exports and three tests')
def test_by_the_command(tmp_path, run_dir):
    """A miniature training exported, tested and timed; called again, nothing is made anew."""
    def run(*words) -> str:
        done = subprocess.run([sys.executable, '-m', 'mvit3_bench.cli', *map(str, words)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout
    run('train', ROOT / 'configs/study/cifar10.py', '--mini', '--work-dir', 'work', '--cfg-options',
        'train_cfg.max_epochs=1', 'param_scheduler.1.end=1', 'param_scheduler.1.T_max=1')
    words = ['precisions', 'work', '--to', 'onnx', '--precisions', 'float32', 'int8', '--calibration', 8]
    run(*words)
    cells = json.loads(Path('work_dirs/precisions/precisions.json').read_text())['cells']
    assert list(cells) == ['work/onnx/float32', 'work/onnx/int8'] and cells['work/onnx/float32']['agreement'] == 1
    assert cells['work/onnx/int8']['bytes'] < cells['work/onnx/float32']['bytes'] / 2
    assert 'work/onnx' not in run(*words)
    assert 'ms (p90' in run(*words, '--latency', '--page', 'page.md') and '| onnx' in Path('page.md').read_text()
