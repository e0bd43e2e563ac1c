"""The tools on classification: train, test, write, draw; and what they say to an incomplete ImageNet."""
import json
import pickle
import re
import shutil

import conftest
import cv2
import numpy as np
import pytest

pytest.importorskip('mmpretrain', reason='mmpretrain is not installed')

CONFIGS = conftest.ROOT / 'configs' / 'cls'
SHORT = ['train_dataloader.dataset.indices=24', 'train_dataloader.batch_size=8', 'val_dataloader.dataset.indices=8',
         'test_dataloader.dataset.indices=8', 'train_cfg.max_epochs=1', 'randomness.seed=0']


TRIED = [path for path in conftest.CONFIGS if path.parent.name in ('cls', 'ablation') or path.stem.startswith('cifar10')]
# one config of each recipe and data set in `make test`; all of them take minutes
QUICK = ('mvit3_xxs_in1k', 'mvit3_0.5_in1k', 'mvit3_xxs_imagenette128')


@pytest.mark.parametrize('config', [
    pytest.param(path, id=path.stem, marks=() if path.stem in QUICK else pytest.mark.slow) for path in TRIED])
def test_train_and_test(run_dir, trained, tool, config):
    """A work dir keeps its best checkpoint, and testing it writes metrics and predictions, and draws."""
    assert (trained(config) / 'best_accuracy_top1_epoch_1.pth').is_file()

    outcome = tool('test', config, 'run', '--mini', '--out', 'out', '--show-dir', 'pictures', '--work-dir', 'test',
                   '--cfg-options', *SHORT)
    assert outcome.code == 0, outcome.output
    metrics = json.loads((run_dir / 'out' / 'metrics.json').read_text())
    predictions = pickle.loads((run_dir / 'out' / 'predictions.pkl').read_bytes())
    right = sum(int(each['pred_score'].argmax() == each['gt_label']) for each in predictions)
    assert len(predictions) == 8 and metrics['accuracy/top1'] == pytest.approx(100 * right / 8)
    assert len(list((run_dir / 'pictures').glob('*.png'))) == 8


@pytest.mark.slow
def test_learns(metrics_of):
    """On the miniature, a network from random weights reaches a top-1 of 80 % on images that it has not seen."""
    assert metrics_of(CONFIGS / 'mvit3_xxs_in1k.py')['accuracy/top1'] >= 80


def test_pictures_have_the_right_colours(run_dir, tool):
    """What is drawn is the image as it was, red as red."""
    root = run_dir / 'imagenet'
    (root / 'val').mkdir(parents=True)
    (root / 'meta').mkdir()
    (root / 'meta' / 'val.txt').write_text('red.png 0\n')
    cv2.imwrite(str(root / 'val' / 'red.png'), np.full((80, 80, 3), (0, 0, 200), np.uint8))
    outcome = tool('test', CONFIGS / 'mvit3_0.5_in1k.py', 'none', '--mini', '--show-dir', 'pictures',
                   '--cfg-options', f'test_dataloader.dataset.data_root={root}')
    assert outcome.code == 0, outcome.output
    corner = cv2.imread(str(run_dir / 'pictures' / 'red.png_0.png'))[-1, -1]
    assert np.abs(corner.astype(int) - (0, 0, 200)).max() <= 2


@pytest.fixture
def flowers(run_dir):
    """The config of one's own data that the documentation shows, and its data."""
    text = (conftest.ROOT / 'docs' / 'classification.md').read_text(encoding='utf-8')
    text, = re.findall(r'```python\n(_base_ = .*?)```', text, re.DOTALL)
    (run_dir / 'flowers.py').write_text(text.replace('mvit3_0.5_in1k.py', str(CONFIGS / 'mvit3_0.5_in1k.py')))
    for number, flower in enumerate(('daisy', 'rose', 'tulip')):
        for split in ('train', 'val'):
            folder = run_dir / 'data' / 'flowers' / split / flower
            folder.mkdir(parents=True)
            for name in 'ab':
                # not of one colour: a batch without any variance, such as two black images, overflows in batch norms
                pixels = np.random.default_rng(number).integers(80 * number, 80 * number + 80, (64, 64, 3))
                cv2.imwrite(str(folder / f'{name}.jpg'), pixels.astype(np.uint8))
    return run_dir / 'flowers.py'


OWN = ['train_dataloader.batch_size=2', 'train_cfg.max_epochs=1', 'train_dataloader.num_workers=0',
       'train_dataloader.persistent_workers=False', 'val_dataloader.num_workers=0',
       'val_dataloader.persistent_workers=False', 'train_cfg.val_interval=1']


def test_own_data(flowers, tool):
    """The documented config trains."""
    outcome = tool('train', flowers, '--work-dir', 'run', '--cfg-options', *OWN)
    assert outcome.code == 0, outcome.output
    assert list((flowers.parent / 'run').glob('best_accuracy_top1*.pth'))


@pytest.mark.parametrize('option, parts', [
    ('model.head.num_classes=4', ('model.data_preprocessor.num_classes=3', 'model.head.num_classes=4')),
    ('train_dataloader.dataset.data_prefix=absent', ('train_dataloader: CustomDataset not found', 'absent'))])
def test_wrong_own_data(flowers, tool, option, parts):
    """Numbers of classes that differ, or a missing folder, are refused before the start."""
    outcome = tool('train', flowers, '--cfg-options', *OWN, option)
    assert outcome.code == 1 and 'Traceback' not in outcome.output
    assert all(part in outcome.output for part in parts), outcome.output


def test_metrics_of_a_list(run_dir, tool, monkeypatch):
    """Several evaluators are OpenMMLab's usual form; a metric that is a list goes to the json, scalars are printed too."""
    monkeypatch.setattr('mvit3_bench.engine.run_config.world_size', lambda launcher: 2)
    monkeypatch.setattr('mvit3_bench.visualization.pictures.Pictures.add_image', lambda *args: None)
    config = run_dir / 'several.py'
    config.write_text(f"_base_ = ['{CONFIGS / 'mvit3_0.5_in1k.py'}']\n"
                      "test_evaluator = [dict(type='Accuracy'), dict(type='SingleLabelMetric', average=None)]\n")
    outcome = tool('test', config, 'none', '--mini', '--out', 'out', '--show-dir', 'pictures', '--cfg-options',
                   'test_dataloader.dataset.indices=4')
    assert outcome.code == 0, outcome.output
    metrics = json.loads((run_dir / 'out' / 'metrics.json').read_text())
    assert len(metrics['single-label/f1-score_classwise']) == 1000
    assert f'accuracy/top1 {metrics["accuracy/top1"]:.4g}' in outcome.output
    assert 'classwise' not in outcome.output.splitlines()[-2]
    assert (run_dir / 'out' / 'predictions.pkl').is_file()
    assert 'with one process' in outcome.output and '0 pictures in pictures' in outcome.output


def test_missing_class(run_dir, tool):
    """An ImageNet with a class missing is refused before the start, and the class is named."""
    for split, classes in (('train', 999), ('val', 1000)):
        for number in range(classes):
            (run_dir / 'data' / 'imagenet' / split / f'n{number:08d}').mkdir(parents=True)
    outcome = tool('train', CONFIGS / 'mvit3_xxs_in1k.py')
    assert outcome.code == 1
    for part in ('999 folders', '1000 classes', 'missing: n00000999', 'meta/train.txt'):
        assert part in outcome.output
    assert 'Traceback' not in outcome.output


def test_missing_image(run_dir, tool):
    """An image that is in the list but not in its folder stops the training and is named."""
    root = shutil.copytree(run_dir / 'data' / 'mini' / 'imagenet', run_dir / 'imagenet')
    image = next((root / 'train').rglob('*.JPEG'))
    image.unlink()
    outcome = tool('train', CONFIGS / 'mvit3_xxs_in1k.py', '--mini', '--cfg-options', *SHORT[1:],
                   f'train_dataloader.dataset.data_root={root}')
    assert outcome.code == 1
    assert image.name in outcome.output[outcome.output.rindex('error: '):]
