"""The tools on classification: train, test, write, draw; and what they say to an incomplete ImageNet."""
import json
import pickle
import shutil

import conftest
import cv2
import numpy as np
import pytest

pytest.importorskip('mmpretrain', reason='mmpretrain is not installed')

CONFIGS = conftest.ROOT / 'configs' / 'cls'
SHORT = ['train_dataloader.dataset.indices=24', 'train_dataloader.batch_size=8', 'val_dataloader.dataset.indices=8',
         'test_dataloader.dataset.indices=8', 'train_cfg.max_epochs=1', 'randomness.seed=0']


# one config of each recipe in `make test`; all of them take minutes
@pytest.mark.parametrize('config', [
    pytest.param(path, id=path.stem, marks=() if path.stem in ('mvit3_xxs_in1k', 'mvit3_0.5_in1k') else pytest.mark.slow)
    for path in sorted(CONFIGS.glob('*.py'))])
def test_train_and_test(run_dir, tool, config):
    """A work dir keeps its best checkpoint, and testing it writes metrics and predictions, and draws."""
    outcome = tool('train', config, '--mini', '--work-dir', 'run', '--cfg-options', *SHORT)
    assert outcome.code == 0, outcome.output
    assert (run_dir / 'run' / 'best_accuracy_top1_epoch_1.pth').is_file()

    outcome = tool('test', config, 'run', '--mini', '--out', 'out', '--show-dir', 'pictures', '--work-dir', 'test',
                   '--cfg-options', *SHORT)
    assert outcome.code == 0, outcome.output
    metrics = json.loads((run_dir / 'out' / 'metrics.json').read_text())
    assert 0 <= metrics['accuracy/top1'] <= metrics['accuracy/top5'] <= 100
    assert len(pickle.loads((run_dir / 'out' / 'predictions.pkl').read_bytes())) == 8
    assert len(list((run_dir / 'pictures').glob('*.png'))) == 8


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
