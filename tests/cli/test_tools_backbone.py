"""``--backbone`` in the tools: a training on miniature data and what is made of its checkpoint carry the backbone's name."""
import json

import conftest
import pytest
import torch

pytest.importorskip('timm')
pytest.importorskip('mmseg')
CONFIG = conftest.ROOT / 'configs' / conftest.TASKS['segmentation']
NAME = 'timm/test_efficientnet'
RUN = 'deeplabv3_mvit3_0.5_ade20k-timm_test_efficientnet'


def test_train_test_and_export(run_dir, tool):
    """Work dir, run info, result and exported file are named after config and backbone; the test needs the flag again."""
    outcome = tool('train', CONFIG, '--mini', '--backbone', NAME, '--cfg-options', *conftest.short(CONFIG))
    assert outcome.code == 0, outcome.output
    work_dir = run_dir / 'work_dirs' / f'{RUN}_mini'
    meta = torch.load(work_dir / 'epoch_1.pth', weights_only=True)['meta']
    assert meta['run']['backbone'] == NAME and meta['experiment_name'].startswith(RUN)

    options = ['--cfg-options', 'test_dataloader.dataset.indices=4']
    outcome = tool('test', CONFIG, work_dir, '--mini', '--backbone', NAME, '--work-dir', 'test', '--record', 'store',
                   *options)
    assert outcome.code == 0, outcome.output
    result = json.loads(next((run_dir / 'store').glob(f'{RUN}_mini-*.json')).read_text())
    assert result['model'] == NAME and result['config'] == f'seg/{CONFIG.name} --backbone {NAME}'
    outcome = tool('test', CONFIG, work_dir, '--mini', '--work-dir', 'test', *options)
    assert outcome.code == 1 and 'is a checkpoint of another model' in outcome.output

    outcome = tool('export', CONFIG, work_dir, '--backbone', NAME, '--to', 'torch', '--raw', '--shape', '64')
    assert outcome.code == 0 and (run_dir / f'{RUN}.pt2').is_file(), outcome.output


def test_flops_and_benchmark(run_dir, tool):
    """The counts are those of the model with that backbone; several backbones are timed against each other."""
    outcome = tool('get_flops', CONFIG, '--backbone', NAME, '--shape', '64')
    assert f'{CONFIG} with {NAME}: one image of 64x64' in outcome.output and 'backbone.network' in outcome.output
    outcome = tool('benchmark', conftest.ROOT / 'configs/cls/mvit3_xxs_in1k.py', '--backbone', NAME, 'mobilevitv3_xxs',
                   '--modes', 'eager', '--rounds', '2', '--shape', '32', '--out', 'out')
    assert outcome.code == 0, outcome.output
    timed = [each['model'] for each in json.loads((run_dir / 'out' / 'benchmark.json').read_text())['contenders']]
    assert timed == ['mvit3_xxs_in1k-timm_test_efficientnet', 'mvit3_xxs_in1k-mobilevitv3_xxs']


def test_refusal(tool):
    """The reason is the message, without a traceback."""
    outcome = tool('get_flops', CONFIG, '--backbone', 'timm/repvit_m09')
    assert outcome.code == 1 and 'the nearest: ' in outcome.output and 'Traceback' not in outcome.output
