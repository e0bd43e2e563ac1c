"""Real runs of a suite: its commands train, test and record; what is killed in the middle is gone on with."""
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import conftest
import pytest
import yaml

from mvit3_bench.suite.file import read_suite
from mvit3_bench.suite.state import find_results

for package in ('mmpretrain', 'mmdet', 'timm', 'submitit'):
    pytest.importorskip(package)
NAME, CLS, DET = 'timm/test_efficientnet', 'cls/mvit3_xxs_in1k', 'det/ssdlite_mvit3_xxs_coco'


def group(config: str, **keys) -> dict:
    """A group of the shortest runs of a config."""
    words = [word.split('=') for word in conftest.short(Path(config)) if 'seed' not in word]
    return dict(configs=[config], backbones=[NAME], options={key: int(value) for key, value in words}, **keys)


def suite_file(folder: Path, *groups: dict) -> Path:
    """Write the file of a suite."""
    file = folder / 'tiny.yaml'
    file.write_text(yaml.safe_dump(dict(mini=True, runs=list(groups))))
    return file


def test_commands_of_runs(run_dir, tool):
    """A classifier, and a detector that begins with all of its backbone's weights; then both are done, and in the table."""
    file = suite_file(run_dir, group(CLS), group(DET, init=CLS))
    suite = read_suite(str(file))
    for run in suite.runs:
        checkpoint = next(run.source.folder.glob('best_*.pth')) if run.source else None
        for command, *words in (run.train(checkpoint), run.test()):
            outcome = tool(command, *words)
            assert outcome.code == 0, outcome.output
            if command == 'train' and run.source:
                assert 'TimmBackbone: the pretrained checkpoint filled 68 of 68 tensors' in outcome.output
    assert list(find_results(suite.runs)) == [run.name for run in suite.runs]
    outcome = tool('suite', file)  # nothing is left to do
    assert outcome.code == 0 and '2 runs, 2 done' in outcome.output, outcome.output
    row = next(row for row in outcome.output.splitlines() if row.startswith(f'| {NAME}')).split('|')
    assert [bool(re.fullmatch(r' *\d+\.\d\d ', cell)) for cell in row[2:6]] == [True] * 4
    table = (run_dir / 'work_dirs' / 'tiny' / 'table.md').read_text()
    assert table in outcome.output and '`mvit3 suite ' in table and '2 of 2 runs' in table and 'Miniature data' in table
    outcome = tool('suite', file, '--dry-run')
    assert outcome.output.count(': done: mvit3 train ') == 2
    assert f'init_cfg.checkpoint={suite.runs[0].folder}/best_accuracy_top1_epoch_1.pth' in outcome.output


def start(*words) -> subprocess.Popen:
    """Start the command in a separate process group."""
    return subprocess.Popen([sys.executable, str(conftest.ROOT / 'tools' / 'suite.py'), *map(str, words)], text=True,
                            env=os.environ | dict(PYTHONPATH=str(conftest.ROOT), OMP_NUM_THREADS='1'),
                            start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.mark.slow
def test_killed_stopped_and_continued(run_dir):
    """Killed with all its processes, then interrupted, then left alone: no run is done twice, one failure is listed."""
    long = group(CLS, seeds=[0])
    long['options']['train_cfg.max_epochs'] = 12
    wrong = group('seg/deeplabv3_mvit3_0.5_ade20k') | dict(options={'a.b': 1})
    file = suite_file(run_dir, long, wrong, group(DET, init=CLS))
    run = read_suite(str(file)).runs[0]
    for end in (lambda process: os.killpg(process.pid, signal.SIGKILL),
                lambda process: process.send_signal(signal.SIGINT)):
        process, before = start(file), len(list(run.folder.glob('epoch_*.pth')))
        while len(list(run.folder.glob('epoch_*.pth'))) <= before:
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.2)
        end(process)
        output, _ = process.communicate()
    assert process.returncode == 130 and 'stopped; the same command goes on' in output
    process = start(file)
    output, _ = process.communicate()
    assert process.returncode == 1 and output.count(': done, ') == 2 and output.count(': failed: ') == 1, output
    log = (run.folder / 'suite.log').read_text()
    assert log.count('mvit3 train') == 3 and log.count('mvit3 test') == 1 and log.count('resumed epoch') == 2, log
    assert sorted(map(int, re.findall(r'Saving checkpoint at (\d+) epochs', log)))[-1] == 12
