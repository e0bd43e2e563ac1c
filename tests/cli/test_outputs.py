"""tools/test.py: one file an image, as the images are in folders; images without labels; nothing detected."""
import shutil
from pathlib import Path

import conftest
import cv2
import numpy as np
import pytest
from mmengine.config import Config

from mvit3_bench.cli.test import without_truth

CONFIGS = conftest.ROOT / 'configs'


@pytest.fixture
def unlabelled(run_dir):
    """Two images of one name in two folders."""
    for name in 'ab':
        Path('images', name).mkdir(parents=True)
        cv2.imwrite(f'images/{name}/0.jpg', np.random.default_rng(0).integers(256, size=(96, 128, 3), dtype=np.uint8))
    return run_dir


def pictures(folder: str) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob('*.png'))


def test_segmentation(unlabelled, tool, weights):
    """Images without masks get a mask and a picture each; of what is missing, --out is asked for."""
    config, file = weights['segmentation']
    options = ['test_dataloader.dataset.data_root=images', 'test_dataloader.dataset.data_prefix.img_path=',
               'test_evaluator.format_only=True']
    outcome = tool('test', config, file, '--out', 'out', '--show-dir', 'drawn', '--cfg-options', *options)
    assert outcome.code == 0, outcome.output
    assert pictures('out') == ['a/0.png', 'b/0.png'] and len(pictures('drawn')) == 2
    assert {Path(name).parent.name for name in pictures('drawn')} == {'a', 'b'}
    assert '2 images predicted, without labels' in outcome.output
    outcome = tool('test', config, file, '--cfg-options', *options)
    assert outcome.code == 1 and '--out DIR' in outcome.output and 'Traceback' not in outcome.output


def test_classification(unlabelled, tool, weights):
    """A picture each; without labels the predictions are written."""
    config, file = weights['classification']
    custom = unlabelled / 'custom.py'
    custom.write_text(f"_base_ = ['{config}']\ntest_dataloader = dict(dataset=dict(_delete_=True, type='CustomDataset', "
                      "data_root='images', with_label=False, pipeline={{_base_.test_dataloader.dataset.pipeline}}))\n")
    outcome = tool('test', custom, file, '--out', 'out', '--show-dir', 'drawn')
    assert outcome.code == 0, outcome.output
    assert pictures('drawn') == ['a/0.jpg_0.png', 'b/0.jpg_0.png'] and Path('out/predictions.pkl').is_file()
    assert '2 images predicted, without labels' in outcome.output


def test_no_visualization_hook(run_dir, tool, weights):
    """A config without a hook that draws can be drawn, too."""
    config, file = weights['segmentation']
    bare = run_dir / 'bare.py'
    bare.write_text(f"_base_ = ['{config}']\ndefault_hooks = dict(visualization=None)\n")
    outcome = tool('test', bare, file, '--mini', '--show-dir', 'drawn', '--cfg-options', 'test_dataloader.dataset.indices=2')
    assert outcome.code == 0, outcome.output
    assert len(pictures('drawn')) == 2


def test_masks_of_the_data_set_stay(run_dir, tool, weights):
    """--out that names the folder of the masks is refused, and they stay as they are."""
    config, file = weights['segmentation']
    root = shutil.copytree(run_dir / 'data' / 'mini' / 'ade', run_dir / 'ade') / 'ADEChallengeData2016'
    masks = root / 'annotations' / 'validation'
    before = {path: path.read_bytes() for path in masks.iterdir()}
    outcome = tool('test', config, file, '--mini', '--out', masks, '--cfg-options',
                   f'test_dataloader.dataset.data_root={root}')
    assert outcome.code == 1 and 'is a folder of the data set' in outcome.output
    assert {path: path.read_bytes() for path in masks.iterdir()} == before


def test_nothing_detected(run_dir, tool, weights):
    """mAP 0 and a sentence."""
    config, file = weights['detection']
    outcome = tool('test', config, file, '--mini', '--cfg-options', 'test_dataloader.dataset.indices=2',
                   'model.test_cfg.score_thr=1.1')
    assert outcome.code == 0, outcome.output
    assert 'nothing was detected' in outcome.output and 'coco/bbox_mAP 0 ' in outcome.output


@pytest.mark.parametrize('kind, unlabelled', [('ImageNet', True), ('CIFAR10', False)])
def test_labels_of_a_test(kind, unlabelled):
    """ImageNet's split of this name has none, that of other data sets has."""
    cfg = Config(dict(default_scope='mmpretrain', test_evaluator=dict(type='Accuracy'),
                      test_dataloader=dict(dataset=dict(type=kind, split='test', pipeline=[]))))
    assert without_truth(cfg) == unlabelled and (cfg.test_evaluator == []) == unlabelled


def test_place_that_cannot_be_written(run_dir, tool, weights):
    """It is refused before the test, whose scores would be lost."""
    (run_dir / 'file').touch()
    outcome = tool('test', *weights['classification'], '--mini', '--out', 'file/predictions')
    assert outcome.code == 1 and '--out file/predictions cannot be written to: Not a directory' in outcome.output
