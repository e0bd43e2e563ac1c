"""--cfg-options: what nothing would take is refused, with the nearest key; what something takes stays possible."""
import re

import conftest
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mvit3_bench.engine.options import merge_options, parse_options
from mvit3_bench.errors import UsageError

CONFIG = conftest.ROOT / 'configs' / conftest.TASKS['segmentation']
COMMON = dict(taken=['model.backbone.init_cfg.type=Pretrained', 'randomness.seed=0', 'train_dataloader.dataset.indices=3',
                     'optim_wrapper.clip_grad.max_norm=1', 'default_hooks.x.type=EMAHook', 'work_dir=x',
                     'optim_wrapper.paramwise_cfg.custom_keys.norm1.lr_mult=0', 'default_hooks.visualization.interval=2',
                     'train_dataloader.persistent_workers=False', 'train_dataloader.dataset.metainfo.classes=(a,b)'],
              refused={'train_dataloder.batch_size=4': 'train_dataloader', 'train_dataloader.batchsize=4': 'batch_size',
                       'model.backbone.arhc=s': 'model.backbone.arch', 'model.backbne.arch=s': 'model.backbone',
                       'train_cfg.max_epoch=3': 'train_cfg.max_epochs',
                       'randomness.sed=0': 'randomness.seed',
                       'default_hooks.checkpont.interval=1': 'default_hooks.checkpoint', 'note=1': 'take it away',
                       'custom_hooks.0.momentm=1': 'custom_hooks.0.momentum',
                       'env_cfg.cudnn_benchmrk=True': 'cudnn_benchmark',
                       'test_dataloader.dataset.ann_flie=x': 'ann_file'})


@pytest.fixture(params=conftest.TASKS)
def cfg(request):
    """A config of each task."""
    found = Config.fromfile(conftest.ROOT / 'configs' / conftest.TASKS[request.param])
    pytest.importorskip(found.default_scope)
    init_default_scope(found.default_scope)
    return found


def test_new_keys(cfg):
    """In each task: a new key is refused where its class, or nobody, takes it, and merged where somebody does."""
    for word in COMMON['taken']:
        assert merge_options(cfg, [word]), word
    for word, near in COMMON['refused'].items():
        with pytest.raises(UsageError) as error:
            merge_options(cfg, [word])
        assert word.partition('=')[0] in str(error.value) and near in error.value.fix, word


@pytest.mark.parametrize('word, value', [
    ('data_root=/data/My Images', '/data/My Images'), ('work_dir="my runs/x"', 'my runs/x'), ('a= 3 ', 3),
    ('a=[1, 2]', [1, 2]), ('a=x=y z', 'x=y z')])
def test_blanks(word, value):
    """Those in a path stay, which MMEngine's parser drops."""
    assert list(parse_options([word]).values()) == [value]


@pytest.mark.parametrize('word, part', [
    ('param_scheduler.9.end=1', 'Index 9'), ('param_scheduler.-1.end=1', 'param_scheduler.-1.end=1'),
    ('model.test_cfg=[1,(2,3]', 'not balanced'), ('train_cfg.max_epochs=', 'has no value'), ('work_dir=[1', 'not balanced'),
    ('train_cfg.max_epochs.x=1', 'does not fit'), ('train_cfg.max_epochs =3', 'train_cfg.max_epochs'),
    ('train_dataloader.dataset.pipeline.99.scale=3', 'pipeline.99.scale')])
def test_words_that_do_not_fit(word, part):
    """An error that names the option."""
    with pytest.raises(UsageError, match=re.escape(part)):
        merge_options(Config.fromfile(CONFIG), [word])


@pytest.mark.parametrize('word, places', [
    ('crop_size=64', 'set train_dataloader.dataset.pipeline.4.crop_size'), ('max_epochs=5', 'train_cfg.max_epochs'),
    ('data_root=x', 'set train_dataloader.dataset.data_root and val_dataloader.dataset.data_root and test_'),
    ('test_pipeline.1.scale=64', 'set test_dataloader.dataset.pipeline.1.scale')])
def test_variables_of_the_file(word, places):
    """A variable that the file itself has used is refused, with the places where its value is."""
    file = conftest.ROOT / 'configs' / 'det' / 'ssdlite_mvit3_s_coco.py' if 'max_epochs' in word else CONFIG
    with pytest.raises(UsageError, match='is a variable of the config file, which has used it already') as error:
        merge_options(Config.fromfile(file), [word])
    assert places in error.value.fix


@pytest.mark.parametrize('command', [['train', CONFIG], ['test', CONFIG, 'none'], ['get_flops', CONFIG]])
def test_impossible_option(tool, run_dir, command):
    """Through each command: an error in a line, no traceback."""
    outcome = tool(*command, '--cfg-options', 'train_dataloader.dataset.pipeline.99.scale=3')
    assert outcome.code == 1 and 'Traceback' not in outcome.output
    assert 'pipeline.99.scale' in outcome.output[outcome.output.rindex('error: '):]


@pytest.mark.parametrize('words', [['=3'], ['model.head'], ['train_cfg.max_epochs=', '3']])
def test_no_key_or_no_value(tool, run_dir, words):
    """A word that is not KEY=VALUE is a wrong call."""
    outcome = tool('train', CONFIG, '--cfg-options', *words)
    assert outcome.code == 2 and f'{words[-1]!r} is not KEY=VALUE' in outcome.output
