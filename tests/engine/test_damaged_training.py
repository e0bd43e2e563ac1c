"""A training over a set of which a third is damaged: it goes through or stops, says why, and leaves no process behind."""
import os
import shutil

import conftest
import numpy as np
import pytest
from PIL import Image

import mvit3_bench.compat  # noqa: F401  before mmseg

pytest.importorskip('mmseg', reason='mmsegmentation is not installed')

from faults.corruptions import IMAGES, MASKS  # noqa: E402

SEG = conftest.ROOT / 'configs' / 'seg' / 'deeplabv3_mvit3_xxs_camvid.py'


@pytest.fixture
def camvid(run_dir):
    """A data set in CamVid's layout of which a third is damaged: (root, names of the damaged)."""
    root, rng = run_dir / 'data' / 'camvid', np.random.default_rng(0)
    source = run_dir / 'data' / 'mini' / 'ade' / 'ADEChallengeData2016'
    images = sorted((source / 'images' / 'training').iterdir())[:24]
    damages = [IMAGES[name] for name in ('truncated JPEG', 'HTML', 'empty file', '10000x1', 'PNG declared 60000x60000')]
    damaged = []
    for split in ('train', 'val', 'test'):
        for kind in ('images', 'annotations'):
            (root / kind / split).mkdir(parents=True)
        for number, image in enumerate(images if split == 'train' else images[:4]):
            mask = np.array(Image.open(source / 'annotations' / 'training' / f'{image.stem}.png')) % 11
            Image.fromarray(mask).save(root / 'annotations' / split / f'{image.stem}.png')
            content = image.read_bytes()
            if split == 'train' and number % 3 == 0:
                damaged.append(image.name)
                if number % 6:
                    content = damages[number // 3 % len(damages)](Image.open(image), rng).content
                else:
                    (root / 'annotations' / split / f'{image.stem}.png').write_bytes(MASKS['RGB mask'](mask, rng).content)
            (root / 'images' / split / image.name).write_bytes(content)
    return root, damaged


def options(workers):
    return ['--cfg-options', 'model.data_preprocessor.size=(64,64)',
            'train_dataloader.dataset.pipeline.1.scale=(120,90)', 'train_dataloader.dataset.pipeline.2.crop_size=(64,64)',
            'val_dataloader.dataset.pipeline.1.scale=(120,90)', 'train_dataloader.batch_size=4', 'train_cfg.max_epochs=2',
            f'train_dataloader.num_workers={workers}', f'train_dataloader.persistent_workers={bool(workers)}',
            'val_dataloader.num_workers=0', 'val_dataloader.persistent_workers=False', 'train_cfg.val_interval=2']


SKIP = 'train_dataloader.dataset.pipeline.0.on_error=skip'


@pytest.mark.parametrize('workers', [0, 2])
def test_skip_under_load(camvid, run_dir, tool, workers):
    """Two epochs go through; each damaged file is logged at every occurrence, alone, and no other is."""
    root, damaged = camvid
    outcome = tool('train', SEG, '--work-dir', 'run', *options(workers), SKIP)
    assert outcome.code == 0, outcome.output
    assert (run_dir / 'run' / 'epoch_2.pth').is_file()
    lines = [line for line in outcome.output.splitlines() if 'skipped sample no.' in line]
    # once in each epoch, and whenever it is drawn in place of another
    assert all(sum(name in line for line in lines) >= 2 for name in damaged)
    assert all(sum(name in line for name in damaged) == 1 for line in lines)


@pytest.mark.parametrize('workers', [0, 2])
def test_stop_under_load(camvid, workers):
    """Without skipping, the training stops at the first one, names it, and leaves no process behind."""
    root, damaged = camvid
    process = conftest.start('train', SEG, '--work-dir', 'run', *options(workers), start_new_session=True)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    message = output[output.rindex('error: '):]
    assert any(name in message for name in damaged), message
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


@pytest.mark.parametrize('workers', [0, 2])
def test_all_damaged(camvid, tool, workers):
    """Where nothing is intact, skipping comes to an end too."""
    root, _ = camvid
    for image in (root / 'images' / 'train').iterdir():
        image.write_bytes(b'')
    outcome = tool('train', SEG, '--work-dir', 'run', *options(workers), SKIP)
    assert outcome.code == 1 and '100 samples in a row' in outcome.output[outcome.output.rindex('error: '):]


def test_broken_file_in_validation(camvid, tool):
    """A broken file of the validation stops the run too, and is named."""
    root, _ = camvid
    for kind in ('images', 'annotations'):
        shutil.rmtree(root / kind / 'train')
        shutil.copytree(root / kind / 'val', root / kind / 'train')
    broken = sorted((root / 'images' / 'val').iterdir())[2]
    broken.write_bytes(broken.read_bytes()[:500])
    outcome = tool('train', SEG, '--work-dir', 'run', *options(0))
    assert outcome.code == 1
    message = outcome.output[outcome.output.rindex('error: '):]
    assert broken.name in message and '/val/' in message and 'on_error' not in message
