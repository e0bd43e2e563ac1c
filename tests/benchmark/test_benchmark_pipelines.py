"""The timing of pipelines: every recipe and its counterpart run on the same samples; a folder without images is named."""
import sys

import cv2
import numpy as np
import pytest
from mmengine.registry import DefaultScope

from mvit3_bench.benchmark import pipelines
from mvit3_bench.engine.run_config import read_config

for package in ('mmdet', 'mmseg', 'mmpretrain'):
    pytest.importorskip(package)


@pytest.fixture
def photos(tmp_path):
    """A folder with two images."""
    folder = tmp_path / 'photos'
    folder.mkdir()
    for number in range(2):
        cv2.imwrite(str(folder / f'{number}.jpg'), np.random.default_rng(number).integers(0, 256, (96, 128, 3), np.uint8))
    return folder


@pytest.mark.parametrize('config', pipelines.CONFIGS)
def test_recipes(photos, tmp_path, config):
    """Both pipelines end with what their framework packs, and the counterpart has none of our transforms."""
    data = list(pipelines.samples(sorted(photos.iterdir()), tmp_path, np.random.default_rng(0)))
    row = pipelines.measure(config, data, 1, 0)
    assert float(row[2]) > 0 and float(row[3]) > 0
    cfg = read_config(config)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        steps = [each['type'] for step in cfg.train_pipeline for each in pipelines.counterpart(step)]
    assert not any(step.startswith('mvit3_bench') for step in steps) and steps[-1].startswith('Pack')


def test_no_images(tmp_path, monkeypatch, capsys):
    """The folder is named, with the flag."""
    monkeypatch.setattr(sys, 'argv', ['pipelines', '--images', str(tmp_path)])
    with pytest.raises(SystemExit):
        pipelines.main()
    assert f'no JPEG images in {tmp_path}' in capsys.readouterr().err
