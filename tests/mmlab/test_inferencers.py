"""The frameworks' own inferencers run our configs and checkpoints, and a classifier's backbone goes on into other models."""
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import conftest
import cv2
import numpy as np
import pytest
import torch

import mvit3_bench.compat  # noqa: F401

CONFIGS = conftest.ROOT / 'configs'


@pytest.fixture
def image():
    """A picture in OpenCV's form, (H, W, 3) BGR."""
    return np.random.default_rng(0).integers(256, size=(120, 160, 3), dtype=np.uint8)


def save(config, path, **meta):
    """Write the checkpoint of an untrained model of a config."""
    from mmengine.config import Config
    from mmengine.registry import MODELS, init_default_scope
    cfg = Config.fromfile(config)
    init_default_scope(cfg.default_scope)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    torch.save(dict(state_dict=model.state_dict(), meta=dict(dataset_meta=meta)), path)
    return model


def test_classification(tmp_path, image):
    """mmpretrain.ImageClassificationInferencer, from a config file and from a name."""
    apis = pytest.importorskip('mmpretrain.apis', reason='mmpretrain is not installed')
    config, file = CONFIGS / 'cls' / 'mvit3_xxs_in1k.py', tmp_path / 'classifier.pth'
    save(config, file)
    results = [apis.ImageClassificationInferencer(model, pretrained=str(file), device='cpu')(image)[0]
               for model in (str(config), 'mvit3_xxs_in1k')]
    assert results[0]['pred_label'] == results[1]['pred_label'] and results[0]['pred_class']
    assert results[0]['pred_scores'].shape == (1000,)


def test_detection(tmp_path, image):
    """mmdet.apis.DetInferencer."""
    apis = pytest.importorskip('mmdet.apis', reason='mmdetection is not installed')
    config, file = CONFIGS / 'det' / 'ssdlite_mvit3_xxs_coco.py', tmp_path / 'detector.pth'
    save(config, file)
    inferencer = apis.DetInferencer(str(config), str(file), device='cpu', show_progress=False)
    prediction, = inferencer(image, out_dir=str(tmp_path / 'out'))['predictions']
    assert len(prediction['bboxes']) == len(prediction['scores']) == 80 * 200  # the v1 type: up to 200 a class
    assert list((tmp_path / 'out' / 'vis').glob('*.jpg'))


def test_segmentation(tmp_path, image):
    """mmseg.apis.MMSegInferencer."""
    apis = pytest.importorskip('mmseg.apis', reason='mmsegmentation is not installed')
    config, file = CONFIGS / 'seg' / 'deeplabv3_mvit3_0.5_ade20k.py', tmp_path / 'segmentor.pth'
    save(config, file)
    inferencer = apis.MMSegInferencer(str(config), str(file), dataset_name='ade20k', device='cpu')
    assert inferencer(image, out_dir=str(tmp_path / 'out'))['predictions'].shape == image.shape[:2]
    assert list((tmp_path / 'out' / 'vis').iterdir())


def demo_script(framework: str, repository: str) -> Path:
    """A framework's demo script: of an installation from a checkout, or below MVIT3_CHECKOUTS."""
    spec = importlib.util.find_spec(framework)
    if spec is None:
        pytest.skip(f'{framework} is not installed')
    for place in (Path(spec.origin).parent / '.mim', Path(os.environ.get('MVIT3_CHECKOUTS', '.')) / repository):
        if (script := place / 'demo' / 'image_demo.py').is_file():
            return script
    pytest.skip(f'the wheel of {framework} has no demo scripts, and MVIT3_CHECKOUTS names no folder with {repository}')


@pytest.mark.parametrize('framework, repository, name', [
    ('mmpretrain', 'mmpretrain', 'cls/mvit3_xxs_in1k'), ('mmdet', 'mmdetection', 'det/ssdlite_mvit3_xxs_coco'),
    ('mmseg', 'mmsegmentation', 'seg/deeplabv3_mvit3_0.5_ade20k')])
def test_demo_script(tmp_path, image, framework, repository, name):
    """The documented command of each framework's demo script draws what a checkpoint predicts."""
    from mmengine.config import Config
    from mmengine.registry import DATASETS
    script, config = demo_script(framework, repository), CONFIGS / f'{name}.py'
    (tmp_path / repository).mkdir()
    (tmp_path / repository / 'demo').symlink_to(script.parent.resolve())
    cv2.imwrite(str(tmp_path / 'image.jpg'), image)
    with DATASETS.switch_scope_and_registry(framework) as registry:
        meta = registry.get(Config.fromfile(config).test_dataloader.dataset.type).METAINFO
    save(config, tmp_path / 'FILE.pth', **meta)

    text = (conftest.ROOT / 'docs' / 'swap.md').read_text(encoding='utf-8')
    (run, *commands), = (block.splitlines() for block in re.findall(r'```bash\n(RUN=.*?)```', text, re.DOTALL))
    command, = (line.replace('CONFIG', str(config)) for line in commands if f' {repository}/demo/' in line)
    env = dict(os.environ, PYTHONPATH=str(conftest.ROOT), PATH=f'{Path(sys.executable).parent}:{os.environ["PATH"]}')
    result = subprocess.run(['bash', '-c', f'{run}\n{command}'], cwd=tmp_path, env=env, text=True, capture_output=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert [*(tmp_path / 'out').rglob('image.jpg'), *(tmp_path / 'out').rglob('image.png')]


@pytest.mark.parametrize('classifier, other', [
    ('mvit3_xxs', 'det/ssdlite_mvit3_xxs_coco.py'), ('mvit3_0.5', 'det/ssdlite_mvit3_0.5_coco.py'),
    ('mvit3_0.5', 'seg/deeplabv3_mvit3_0.5_ade20k.py'), ('mvit3_xxs', 'seg/deeplabv3_mvit3_xxs_camvid.py')])
def test_pretrained_backbone(tmp_path, classifier, other):
    """By init_cfg, as the docs say it, a classifier's checkpoint fills the backbone of a detector or a segmentor."""
    pytest.importorskip('mmpretrain', reason='mmpretrain is not installed')
    pytest.importorskip(dict(det='mmdet', seg='mmseg')[other[:3]])
    from mmengine.config import Config
    from mmengine.registry import MODELS, init_default_scope
    file = tmp_path / 'classifier.pth'
    trained = save(CONFIGS / 'cls' / f'{classifier}_in1k.py', file).backbone.state_dict()
    cfg = Config.fromfile(CONFIGS / other)
    cfg.merge_from_dict({'model.backbone.init_cfg.type': 'Pretrained', 'model.backbone.init_cfg.checkpoint': str(file),
                         'model.backbone.init_cfg.prefix': 'backbone.'})
    init_default_scope(cfg.default_scope)
    torch.manual_seed(1)
    model = MODELS.build(cfg.model)
    lines = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('mvit3_bench.checkpoints.io.print_log', lambda message, **_: lines.append(message))
        model.init_weights()
    assert re.fullmatch(r'MobileViTv3: the pretrained checkpoint filled (\d+) of \1 tensors', lines[0]) and len(lines) == 1
    assert all(torch.equal(value, trained[key]) for key, value in model.backbone.state_dict().items())
