"""tools/gallery.py: truth and predictions of several models side by side."""
from pathlib import Path

import cv2
import pytest
import torch
from conftest import ROOT, TASKS
from mmengine.config import Config

from mvit3_bench.datasets.configs import meta_of_test


def models(weights, *tasks):
    return [part for task in tasks for part in ('--model', *weights[task])]


@pytest.mark.parametrize('task', TASKS)
def test_gallery(run_dir, tool, weights, task):
    outcome = tool('gallery', 'all.png', *models(weights, task, task), '--mini', '--device', 'cpu', '--images', 2)
    assert outcome.code == 0, outcome.output
    picture = cv2.imread('all.png')
    assert picture.shape[1] == 4 * 320 and picture.std() > 20


@pytest.mark.parametrize('tasks, rest, message', [
    (('detection', 'segmentation'), [], 'wanted: models of one task'),
    (('classification',), ['--indices', '2', '400'], '--indices 400 is not possible; the test set has the images 0 to '),
    (('classification',), ['--images', '0'], '--images: 0 is not possible')])
def test_user_errors(run_dir, tool, weights, tasks, rest, message):
    outcome = tool('gallery', 'all.png', *models(weights, *tasks), '--mini', '--device', 'cpu', *rest)
    assert outcome.code in (1, 2) and 'Traceback' not in outcome.output
    assert message in outcome.output
    assert not Path('all.png').exists()


def test_other_images(run_dir, tool, weights):
    """A model of another data set is no match."""
    other = ROOT / 'configs' / 'seg' / 'deeplabv3_mvit3_0.5_ade20k.py'
    text = f"_base_ = [{str(other)!r}]\ntest_dataloader = dict(dataset=dict(indices=2))\n"
    Path('other.py').write_text(text)
    outcome = tool('gallery', 'all.png', *models(weights, 'segmentation'), '--model', 'other.py', weights['segmentation'][1],
                   '--mini', '--device', 'cpu')
    assert outcome.code == 1
    assert 'have different test sets' in outcome.output


def test_classes_in_another_order(run_dir, tool, weights):
    """The truth has the numbers of the test set, and the names are the checkpoint's."""
    config, file = weights['segmentation']
    classes = list(meta_of_test(Config.fromfile(config))['classes'])
    torch.save(dict(torch.load(file, weights_only=True), meta=dict(dataset_meta=dict(classes=classes[::-1]))), 'turned.pth')
    outcome = tool('gallery', 'all.png', '--model', config, 'turned.pth', '--mini', '--device', 'cpu')
    assert outcome.code == 1 and 'the test set has them in another order: wall, building' in outcome.output, outcome.output
    assert 'Traceback' not in outcome.output and not Path('all.png').exists()
