"""Values of the command line reach no shell and are not evaluated: `--cfg-options` and the others, through every tool."""
import os
import subprocess

import pytest
from conftest import ROOT, start

CLS = 'configs/cls/mvit3_xxs_in1k.py'
VALUES = ['$(touch canary)', '`touch canary`', '; touch canary', '&& touch canary', "' ; touch canary #",
          '" ; touch canary #', '| tee canary', '> canary', '\n touch canary \n', '$HOME', '*', '{a,b}',
          "__import__('os').system('touch canary')", 'f"{open(chr(99))}"', '${IFS}touch${IFS}canary']


def options(form: str = 'env_cfg.note{}={}') -> list[str]:
    """``--cfg-options`` with every value."""
    return ['--cfg-options', *(form.format(number, value) for number, value in enumerate(VALUES))]


def test_values_are_not_evaluated():
    """MMEngine's action parses numbers, words and brackets itself: what looks like code stays text."""
    from argparse import ArgumentParser

    from mvit3_bench.cli.common import add_cfg_options
    from mvit3_bench.engine.options import parse_options
    parser = ArgumentParser()
    add_cfg_options(parser)
    found = parse_options(parser.parse_args(options('a{}.b={}')).cfg_options)
    for value, parsed in zip(VALUES, found.values(), strict=True):
        wanted = value.strip('\'" ')
        assert parsed == (wanted.split(',') if ',' in wanted else wanted)


@pytest.mark.parametrize('line', [
    ['train', CLS, '--mini', '--work-dir', '$(touch canary)', '--cfg-options', 'load_from=$(touch canary).pth'],
    ['test', CLS, '`touch canary`', '--mini', '--out', '; touch canary'],
    ['export', CLS, '$(touch canary)', '--to', 'torch', '--shape', '64'],
    ['get_flops', CLS, '--shape', '64'],
    ['convert_checkpoint', '$(touch canary)', '; touch canary'],
], ids=lambda line: line[0])
def test_tools_hand_nothing_to_a_shell(run_dir, tool, line):
    """In the config, as a file or as a folder."""
    name, *rest = line
    extra = [] if name == 'convert_checkpoint' else options()
    if '--cfg-options' in rest:
        extra = extra[1:]
    outcome = tool(name, *(ROOT / argument if argument == CLS else argument for argument in rest), *extra)
    assert outcome.code == (0 if name == 'get_flops' else 1) or outcome.code is None, outcome.output
    assert 'Traceback' not in outcome.output
    assert not list(run_dir.rglob('canary'))


def test_benchmark_hands_nothing_to_a_shell(run_dir):
    """It runs git for the commit, and nothing else; a folder is called as it is named."""
    words = [str(ROOT / CLS), '--modes', 'eager', '--shape', '32', '--rounds', '1', '--out', '$(touch canary)']
    process = start('benchmark', *words, cwd=run_dir)
    output = process.communicate(timeout=300)
    assert not process.returncode, output
    assert [path.name for path in run_dir.iterdir() if 'canary' in path.name] == ['$(touch canary)']
    process = start('benchmark', '$(touch canary)', cwd=run_dir)
    process.communicate(timeout=120)
    assert process.returncode and not (run_dir / 'canary').exists()


@pytest.mark.parametrize('script, program, arguments, kept', [
    ('dist_train.sh', 'python', ['$(touch canary).py', '2'], ['$(touch canary).py']),
    ('dist_test.sh', 'python', ['a b.py', '`touch canary`', '2'], ['a b.py', '`touch canary`']),
    ('slurm_train.sh', 'srun', ['part $(touch canary)', 'job; touch canary', '*.py'],
     ['part $(touch canary)', '--job-name=job; touch canary', '*.py']),
    ('slurm_test.sh', 'srun', ['part', 'job', '*.py', '`touch canary`'], ['--job-name=job', '*.py', '`touch canary`']),
])
def test_scripts_pass_words_on_unchanged(tmp_path, script, program, arguments, kept):
    """The scripts start the next program with exactly these words: one that writes down its own stands in its place."""
    recorder = tmp_path / 'bin' / program
    recorder.parent.mkdir()
    recorder.write_text('#!/bin/sh\nprintf "%s\\0" "$@" > "$RECORD"\n')
    recorder.chmod(0o755)
    env = dict(os.environ, PATH=f'{recorder.parent}:{os.environ["PATH"]}', RECORD=str(tmp_path / 'words'))
    (tmp_path / 'run').mkdir()
    subprocess.run(['bash', str(ROOT / 'tools' / script), *arguments, *options()], cwd=tmp_path / 'run', env=env, check=True)
    words = (tmp_path / 'words').read_text().split('\0')
    assert words[-len(options()) - 1:-1] == options() and set(kept) <= set(words)
    assert not list(tmp_path.rglob('canary'))
