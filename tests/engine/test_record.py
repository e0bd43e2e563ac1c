"""A run is recorded, and with --seed and --deterministic it can be repeated to the bit."""
import json
import re

import conftest
import pytest
import torch

CONFIGS = conftest.ROOT / 'configs'
# a few iterations on little images, with two workers
SHORT = ['train_dataloader.dataset.indices=8', 'train_dataloader.batch_size=4', 'val_dataloader.dataset.indices=2',
         'test_dataloader.dataset.indices=2', 'train_cfg.max_epochs=1', 'train_cfg.val_interval=1',
         'train_dataloader.num_workers=2']
SEG = CONFIGS / 'seg' / 'deeplabv3_mvit3_0.5_ade20k.py'
TASKS = {'mmpretrain': CONFIGS / 'cls' / 'mvit3_xxs_in1k.py', 'mmdet': CONFIGS / 'det' / 'ssdlite_mvit3_xxs_coco.py',
         'mmseg': SEG}
VOC = CONFIGS / 'seg' / 'deeplabv3_mvit3_0.5_voc2012.py'


def tensors(value, key=''):
    """Every tensor of a checkpoint by its place."""
    if isinstance(value, torch.Tensor):
        yield key, value
    for name, part in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from tensors(part, f'{key}.{name}')


def outcome(run_dir, config, name, *flags):
    """Train in a process of its own -> tensors of the checkpoint."""
    process = conftest.start('train', config, '--mini', '--work-dir', run_dir / name, *flags, '--cfg-options', *SHORT)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    checkpoint = torch.load(run_dir / name / 'epoch_1.pth', weights_only=True)
    return dict(tensors({part: checkpoint[part] for part in ('state_dict', 'ema_state_dict', 'optimizer')}))


@pytest.mark.parametrize('framework, flags', [
    ('mmpretrain', ['--deterministic']),
    pytest.param('mmdet', ['--deterministic'], marks=pytest.mark.slow),
    pytest.param('mmseg', [], marks=pytest.mark.slow),
    pytest.param('mmseg', ['--deterministic'], marks=pytest.mark.slow)])
def test_same_bits(run_dir, framework, flags):
    """Twice the same command leaves the same weights, averages and optimiser; slow ones: a minute for each task."""
    pytest.importorskip(framework)
    import mvit3_bench.compat  # noqa: F401  the types in a checkpoint
    one, two = (outcome(run_dir, TASKS[framework], name, '--seed', 3, *flags) for name in ('one', 'two'))
    assert len(one) > 500 and one.keys() == two.keys()
    assert not [key for key in one if not torch.equal(one[key], two[key])]


@pytest.mark.slow
def test_another_seed(run_dir):
    """Another seed makes other weights. Slow: two trainings in processes of their own."""
    import mvit3_bench.compat  # noqa: F401
    one, two = (outcome(run_dir, SEG, name, '--seed', seed) for name, seed in (('one', 3), ('two', 4)))
    assert not torch.equal(one['.state_dict.backbone.stem.conv.weight'], two['.state_dict.backbone.stem.conv.weight'])


@pytest.mark.parametrize('seed', [-1, 2**31])
def test_impossible_seed(run_dir, tool, seed):
    """A seed that numpy or a worker could not take is refused."""
    found = tool('train', SEG, '--mini', '--seed', seed)
    assert found.code == 1 and f'error: --seed {seed} is not possible; allowed: whole numbers from 0' in found.output


def test_flags():
    """The flags fill the config's randomness, leave what else is there, and prepare for deterministic algorithms."""
    from mmengine.config import Config

    from mvit3_bench.engine.randomness import set_randomness
    cfg = Config(dict(env_cfg=dict(cudnn_benchmark=True, a=1), randomness=dict(diff_rank_seed=True)))
    set_randomness(cfg)
    assert cfg.env_cfg.cudnn_benchmark and cfg.randomness == dict(diff_rank_seed=True)
    set_randomness(cfg, 0)
    assert cfg.env_cfg.cudnn_benchmark and cfg.randomness == dict(diff_rank_seed=True, seed=0)
    set_randomness(cfg, None, True)
    assert cfg.env_cfg == dict(cudnn_benchmark=False, a=1)
    assert cfg.randomness == dict(diff_rank_seed=True, seed=0, deterministic=True)


def records(folder):
    return [json.loads(file.read_text()) for file in sorted(folder.glob('*/run.json'))]


def test_record(run_dir, tool):
    """Log, run.json and checkpoint hold the record; a resumed run tells what differs; a test records its data."""
    found = tool('train', SEG, '--mini', '--work-dir', 'run', '--seed', 5, '--cfg-options', *SHORT)
    assert found.code == 0, found.output
    record, = records(run_dir / 'run')
    assert torch.load('run/epoch_1.pth', weights_only=True)['meta']['run'] == record
    assert record['seed'] == 5 and not record['deterministic'] and record['processes'] == 1
    assert record['packages']['torch'] == torch.__version__ and 'mmseg' in record['packages']
    assert {mode: data['samples'] for mode, data in record['data'].items()} == dict(train=8, val=2)
    for part in ('seed 5', f'config {record["config"]}', f'train data: 8 samples, {record["data"]["train"]["hash"]}'):
        assert part in found.output

    again = tool('train', SEG, '--mini', '--work-dir', 'run', '--resume', '--seed', 5, '--cfg-options', *SHORT)
    assert again.code == 0 and 'of the checkpoint: it had' not in again.output and 'take back' not in again.output
    other = tool('train', SEG, '--mini', '--work-dir', 'run', '--resume', '--cfg-options', *SHORT,
                 'train_dataloader.dataset.indices=12', 'train_cfg.max_epochs=2')
    assert other.code == 0, other.output
    assert 'the train data are not those of the checkpoint: it had 8 samples' in other.output
    assert 'the val data' not in other.output
    for part in ('train_cfg.max_epochs: 1 -> 2', 'train_dataloader.dataset.indices: 8 -> 12',
                 'randomness.seed: 5 -> absent'):
        assert part in other.output
    assert re.search(r'\n  seed 5, deterministic: False', other.output)  # the checkpoint's, which MMEngine takes over

    tested = tool('test', SEG, 'run/epoch_1.pth', '--mini', '--work-dir', 'test', '--cfg-options', *SHORT)
    assert tested.code == 0, tested.output
    record, = records(run_dir / 'test')
    assert list(record['data']) == ['test'] and record['checkpoint'] == 'run/epoch_1.pth'


# ------------------------------------------------------------------------------------------------ parts of a record
def built(config, data_root):
    """The training data of a config, with another root for each of its data sets."""
    import mvit3_bench.compat  # noqa: F401, I001  before mmseg
    from mmengine.config import Config
    from mmengine.registry import DATASETS, init_default_scope
    from mvit3_bench.datasets.configs import data_sets
    cfg = Config.fromfile(config)
    init_default_scope(cfg.default_scope)
    for dataset in data_sets(cfg.train_dataloader).values():
        dataset.data_root = str(data_root)
    return DATASETS.build(cfg.train_dataloader.dataset)


def test_fingerprint(tmp_path, mini_data):
    """It is the same wherever the data lie, and another with one file more, or of another size."""
    import shutil

    from mvit3_bench.engine.run_info import fingerprint
    here = mini_data / 'ade' / 'ADEChallengeData2016'
    there = shutil.copytree(here, tmp_path / 'elsewhere' / 'ade')
    first = fingerprint(built(SEG, here))
    assert first['samples'] == 48 and first == fingerprint(built(SEG, there))
    image = sorted((there / 'images' / 'training').iterdir())[5]
    image.write_bytes(image.read_bytes() + b' ')
    changed = fingerprint(built(SEG, there))
    assert changed != first and changed['samples'] == 48
    for part in ('images', 'annotations'):
        name = sorted((there / part / 'training').iterdir())[5]
        shutil.copy(name, name.with_stem('ADE_train_99999999'))
    assert fingerprint(built(SEG, there))['samples'] == 49


def test_fingerprint_of_joined_data(mini_data):
    """Of joined data sets, all count; of a set without annotations, only the number of samples is known."""
    from mvit3_bench.engine.run_info import fingerprint
    joined = built(VOC, mini_data / 'VOCdevkit' / 'VOC2012')
    found = fingerprint(joined)
    assert found['samples'] == len(joined) == 60
    assert found['hash'] != fingerprint(joined.datasets[0])['hash']
    assert fingerprint(torch.utils.data.TensorDataset(torch.zeros(3))) == dict(samples=3, hash=None)


def test_config_hash():
    """Where a run writes and how it starts is no part of it; formatting neither; every setting is."""
    from mvit3_bench.engine.run_info import changes, config_hash
    text = "model = dict(type='A', sizes=[1, 2], names={'a b': 1})\nwork_dir = 'x'\nresume = False\n"
    same = "model = dict(\n    type='A', sizes=[1,\n 2], names={'a b': 1})\nwork_dir = 'y'\nload_from = 'z'\nresume = True\n"
    assert config_hash(text) == config_hash(same) and changes(text, same) == []
    other = text.replace('2]', '3]').replace("'a b': 1", "'a b': 2")
    assert changes(text, other) == ["model.names.'a b': 1 -> 2", 'model.sizes.1: 2 -> 3']
    assert config_hash(text) != config_hash(other)


@pytest.mark.parametrize('text', ['a = (', 'a = ' + '[' * 5000, 'a = ' + '-' * 100000 + '1'])
def test_config_text_is_not_run(text):
    """Text out of a foreign checkpoint is parsed only, and a monstrous one is refused."""
    from mvit3_bench.engine.run_info import settings
    with pytest.raises(ValueError, match='not a config'):
        settings(text)
    assert settings("a = __import__('os').getcwd()") == {'a': "__import__('os').getcwd()"}
