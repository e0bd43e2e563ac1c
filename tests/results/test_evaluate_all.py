"""tools/evaluate_all.py on checkpoints of the published form with drawn weights, and on miniature data."""
import conftest
import pytest
import torch
from golden import draw
from mmengine.config import Config

from mvit3_bench.checkpoints import to_published
from mvit3_bench.registry import MODELS
from mvit3_bench.results.evaluation import convert
from mvit3_bench.results.store import read

for framework in ('mmseg', 'mmpretrain', 'mmdet'):
    pytest.importorskip(framework, reason=f'{framework} is not installed')

TASKS = dict(cls='classification', det='detection', seg='segmentation')
FEW = 'test_dataloader.dataset.indices=4'


def publish(config: str, path) -> None:
    """Write a checkpoint of the published form, its weights drawn from their names."""
    cfg = Config.fromfile(conftest.ROOT / 'configs' / config)
    cfg.model.pop('train_cfg', None)
    with torch.device('meta'):
        model = MODELS.build(cfg.model | dict(_scope_=cfg.default_scope))
    wanted = {key: value.shape for key, value in model.state_dict().items()}
    drawn = {key: draw(key, list(shape)) for key, shape in wanted.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(to_published(drawn, TASKS[config.partition('/')[0]]), path)


def test_good_and_broken(run_dir, tool):
    """A checkpoint is evaluated and recorded, two broken ones beside it are listed, and the exit code is 1."""
    publish('cls/mvit3_xxs_in1k.py', run_dir / 'downloads' / 'XXS' / 'checkpoint_ema_best.pt')
    whole = (run_dir / 'downloads' / 'XXS' / 'checkpoint_ema_best.pt').read_bytes()
    (run_dir / 'downloads' / 'A').mkdir()
    (run_dir / 'downloads' / 'A' / 'checkpoint_ema_best.pt').write_bytes(whole[:len(whole) // 2])
    torch.save({'conv1.weight': torch.zeros(1)}, run_dir / 'downloads' / 'other.pth')
    (run_dir / 'downloads' / 'readme.txt').write_text('no checkpoint')

    outcome = tool('evaluate_all', 'downloads', '--mini', '--record', 'store', '--cfg-options', FEW)
    assert outcome.code == 1 and 'Traceback' not in outcome.output, outcome.output
    found, = read(run_dir / 'store')
    assert (found.config, found.mini, found.images) == ('cls/mvit3_xxs_in1k.py', True, 4)
    assert (found.origin, found.source) == ('converted weights', 'checkpoint_ema_best.pt')
    assert '[2/3] XXS/checkpoint_ema_best.pt: cls/mvit3_xxs_in1k.py, ' in outcome.output
    row = next(line for line in outcome.output.splitlines() if line.startswith('XXS/checkpoint_ema_best.pt'))
    converted = torch.load('work_dirs/evaluate_all/XXS/checkpoint_ema_best.pt/checkpoint_ema_best.pth', weights_only=True)
    assert len(converted['meta']['dataset_meta']['classes']) == 1000  # with which the test compares
    assert ['top1', '70.98', f'{found.percent("top1"):.2f}'] == row.split()[2:5] and row.endswith('4, miniature')
    assert 'not evaluated: 2 of 3' in outcome.output
    failures = outcome.output[outcome.output.index('not evaluated'):]
    assert 'A/checkpoint_ema_best.pt' in failures and 'other.pth: no MobileViT' in failures


def test_failing_test_is_listed(run_dir, tool):
    """A test that ends in an error is listed with its message."""
    publish('cls/mvit3_xxs_in1k.py', run_dir / 'downloads' / 'xxs.pt')
    outcome = tool('evaluate_all', 'downloads', '--record', 'store')  # without --mini there are no data
    assert outcome.code == 1 and 'xxs.pt: test_dataloader: ' in outcome.output, outcome.output
    assert 'data/imagenet' in outcome.output and 'Traceback' not in outcome.output
    assert not list((run_dir / 'store').glob('*'))
    assert (run_dir / 'work_dirs' / 'evaluate_all' / 'xxs.pt' / 'test.log').is_file()


@pytest.mark.parametrize('content, wanted', [(None, 'no checkpoint'), ('{', 'is no json')])
def test_before_the_first(run_dir, tool, content, wanted):
    """An empty folder and a damaged store are found before anything is tested."""
    (run_dir / 'downloads').mkdir()
    if content:
        (run_dir / 'store').mkdir()
        (run_dir / 'store' / 'x.json').write_text(content)
    outcome = tool('evaluate_all', 'downloads', '--record', 'store')
    assert outcome.code == 1 and wanted in outcome.output and 'Traceback' not in outcome.output


@pytest.mark.parametrize('name, config', [
    ('a/mobilevitv2-0.5.pt', 'cls/mvit2_0.5_in1k.py'), ('384x384/mobilevitv2-0.5.pt', 'cls/mvit2_0.5_384_in1k.py'),
    ('a/mobilevitv2-0.5_384.pt', 'cls/mvit2_0.5_384_in1k.py')])
def test_image_size_by_name(tmp_path, name, config):
    """Weights do not tell whether they were fine-tuned at 384; the name of the file or its folder does."""
    publish('cls/mvit2_0.5_in1k.py', tmp_path / name)
    assert convert(tmp_path / name, tmp_path / 'ours.pth') == (config, tmp_path / 'ours.pth')


@pytest.mark.slow
def test_all_tasks(run_dir, tool):
    """All tasks and both types, with exit code 0 (minutes: five tests, each a process of its own)."""
    configs = ('cls/mvit2_0.5_in1k.py', 'det/ssdlite_mvit3_0.5_coco.py', 'seg/deeplabv3_mvit3_xxs_voc2012.py',
               'seg/deeplabv3_mvit3_0.5_ade20k.py', 'seg/pspnet_mvit2_0.5_voc2012.py')
    for config in configs:
        publish(config, run_dir / 'downloads' / f'{config.replace("/", "_")[:-3]}.pt')
    outcome = tool('evaluate_all', 'downloads', '--mini', '--record', 'store', '--cfg-options', FEW)
    assert outcome.code == 0, outcome.output
    assert sorted(found.config for found in read(run_dir / 'store')) == sorted(configs)
    assert outcome.output.count('4, miniature') == len(configs)
