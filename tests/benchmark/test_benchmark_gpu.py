"""The script for a GPU: its commands are those of the parsers, its verdict on losses, and one step of it on the CPU."""
import json
import subprocess
import sys
import time

import pytest
from conftest import ROOT

from mvit3_bench.benchmark import gpu
from mvit3_bench.cli import benchmark, common, train


def test_commands(tmp_path):
    """Every command is one that its parser takes, of configs that exist, within eight minutes together."""
    steps = gpu.steps(tmp_path, 'cuda')
    assert sum(seconds + gpu.GRACE for _, seconds in steps.values()) <= 8 * 60
    for name, (words, _) in steps.items():
        if name in gpu.TASKS:
            args = common.build_parser(train, '').parse_args(words[words.index('train') + 1:])
            assert args.amp and args.launcher == 'pytorch'
        else:
            args = common.build_parser(benchmark, '').parse_args(words[words.index('benchmark') + 1:])
            assert args.device == 'cuda' and all((ROOT / 'configs' / f'{each}.py').is_file() for each in args.configs)


@pytest.mark.parametrize('losses, words', [
    ([3.0] * 10 + [2.0] * 15, 'finite, falls: 3.000 to 2.000'), ([2.0] * 10 + [3.0] * 15, 'finite, does NOT fall'),
    ([2.0] * 24 + [float('nan')], 'NOT finite'), ([1.0] * 3, '3 iterations, at least 20 wanted')])
def test_verdict(losses, words):
    """Losses that are not finite, that do not fall, or are too few are told."""
    assert words in gpu.judged('detection', losses)


def test_limit(tmp_path):
    """A command that takes too long is stopped; one that fails leaves its last line."""
    assert gpu.run([sys.executable, '-c', 'import time; time.sleep(60)'], 1, tmp_path / 'a.txt') == 'stopped after 1 s'
    # what it has started, as torchrun does, ends with it
    child = f'import time; time.sleep(4); open({str(tmp_path / "late")!r}, "w")'
    parent = f'import subprocess, sys; subprocess.Popen([sys.executable, "-c", {child!r}]).wait()'
    gpu.run([sys.executable, '-c', parent], 1, tmp_path / 'c.txt')
    time.sleep(4)
    assert not (tmp_path / 'late').exists()
    failing = [sys.executable, '-c', 'raise SystemExit("no such thing")']
    assert 'no such thing' in gpu.run(failing, 9, tmp_path / 'b.txt')


@pytest.mark.slow(reason='a training of a minute')
def test_on_the_cpu(tmp_path):
    """A training of it, which leaves its figures."""
    subprocess.run([sys.executable, '-m', 'mvit3_bench.benchmark.gpu', '--device', 'cpu', '--only', 'classification',
                    '--out', str(tmp_path / 'out')], cwd=tmp_path, check=True)
    content = json.loads((tmp_path / 'out/gpu.json').read_text())
    assert content['steps']['classification']['ended'] == 'done'
    assert 'finite, falls' in content['trainings']['classification']
    assert 'finite, falls' in (tmp_path / 'out/gpu.md').read_text()
