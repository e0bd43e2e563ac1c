"""The tools on detection: train, test, write, draw; and what they say to a json that is not the config's."""
import json
import pickle
import shutil

import conftest
import pytest

pytest.importorskip('mmdet', reason='mmdetection is not installed')

CONFIGS = conftest.ROOT / 'configs' / 'det'
SHORT = ['train_dataloader.dataset.indices=8', 'train_dataloader.batch_size=4', 'val_dataloader.dataset.indices=4',
         'test_dataloader.dataset.indices=4', 'train_cfg.max_epochs=1', 'train_cfg.val_interval=1', 'randomness.seed=0']


TRIED = [path for path in conftest.CONFIGS if path.parent.name == 'det' or path.stem == 'bccd']
# one config of each type and data set in `make test`; all of them take minutes
QUICK = ('ssdlite_mvit3_xxs_coco', 'ssdlite_mvit3_0.5_coco', 'ssdlite_mvit3_xxs_bccd')


@pytest.mark.parametrize('config', [
    pytest.param(path, id=path.stem, marks=() if path.stem in QUICK else pytest.mark.slow) for path in TRIED])
def test_train_and_test(run_dir, trained, tool, config):
    """A work dir keeps its best checkpoint, and testing it writes metrics and predictions, and draws."""
    assert (trained(config) / 'best_coco_bbox_mAP_epoch_1.pth').is_file()

    outcome = tool('test', config, 'run', '--mini', '--out', 'out', '--show-dir', 'pictures', '--work-dir', 'test',
                   '--cfg-options', *SHORT)
    assert outcome.code == 0, outcome.output
    metrics = json.loads((run_dir / 'out' / 'metrics.json').read_text())
    assert f'coco/bbox_mAP_50: {metrics["coco/bbox_mAP_50"]:.4f}' in outcome.output
    assert len(pickle.loads((run_dir / 'out' / 'predictions.pkl').read_bytes())) == 4
    assert len(list((run_dir / 'pictures').glob('*.png'))) == 4


@pytest.mark.slow
def test_learns(metrics_of):
    """On the miniature, a network from random weights reaches an AP50 of 30 % on images that it has not seen."""
    assert metrics_of(CONFIGS / 'ssdlite_mvit3_xxs_coco.py')['coco/bbox_mAP_50'] >= 0.30


def test_categories_of_another_data_set(run_dir, tool):
    """A json with other categories is refused before the start; file, categories and fix are named."""
    root = shutil.copytree((run_dir / 'data' / 'mini' / 'coco').resolve(), run_dir / 'pets')
    file = root / 'annotations' / 'instances_train2017.json'
    content = json.loads(file.read_text())
    content['categories'][0]['name'] = 'parrot'
    file.write_text(json.dumps(content))
    outcome = tool('train', CONFIGS / 'ssdlite_mvit3_xxs_coco.py', '--mini',
                   '--cfg-options', f'train_dataloader.dataset.data_root={root}')
    assert outcome.code == 1 and 'Traceback' not in outcome.output
    message = outcome.output[outcome.output.rindex('error: '):]
    for part in (str(file), 'person', 'parrot', 'metainfo.classes'):
        assert part in message
