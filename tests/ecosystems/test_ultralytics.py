"""Stock Ultralytics takes our backbones by the YAML files of the package, in Python and through its command."""
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import ultralytics
from drawn import draw_data
from torchvision.models import get_model

from mvit3_bench.integrations.ultralytics import CONFIGS
from mvit3_bench.models.archs import get_arch

SETTINGS = dict(epochs=1, imgsz=96, batch=4, workers=0, device='cpu', plots=False, verbose=False)
YOLO_COMMAND = [sys.executable, '-m', 'mvit3_bench.integrations', 'yolo']
NETWORKS = {'': 'detect', '-seg': 'segment', '-cls': 'classify'}


@pytest.fixture(scope='session')
def data(tmp_path_factory):
    """Task -> what its argument ``data`` is: a YAML for boxes and polygons, a folder of class folders."""
    return draw_data(tmp_path_factory.mktemp('drawn'))


@pytest.mark.parametrize('name', CONFIGS)
def test_widths(name):
    """The widths in a file are those of the arch, at strides 8, 16 and 32."""
    model = ultralytics.YOLO(CONFIGS[name]).model
    arch = get_arch('v3', name.partition('_')[2].partition('-')[0])
    assert model.task == NETWORKS[name.removeprefix(name.partition('-')[0])]
    if model.task == 'classify':
        assert model.model[0](torch.rand(1, 3, 64, 64)).shape == (1, arch.expansion, 2, 2)
    else:
        maps = model.model[0](torch.rand(1, 3, 64, 96))
        assert [tuple(layer(maps).shape[1:]) for layer in model.model[1:4]] == [
            (width, 64 // stride, 96 // stride) for width, stride in zip(arch.widths[2:], (8, 16, 32), strict=True)]
        assert model.stride.tolist() == [8, 16, 32]


@pytest.mark.parametrize('name', CONFIGS)
def test_python(name, data, tmp_path, monkeypatch):
    """A model trains an epoch, validates, predicts, and its ONNX file predicts the same."""
    monkeypatch.chdir(tmp_path)
    model = ultralytics.YOLO(CONFIGS[name])
    drawn = data[model.task]
    model.train(data=drawn, project=str(tmp_path), name='run', **SETTINGS)
    weights = tmp_path / 'run' / 'weights' / 'best.pt'
    trained = ultralytics.YOLO(weights)
    metrics = trained.val(data=drawn, imgsz=96, batch=4, workers=0, device='cpu', plots=False, verbose=False)
    assert all(np.isfinite(value) for value in metrics.results_dict.values())
    exported = trained.export(format='onnx', imgsz=96, device='cpu', verbose=False)
    image = torch.rand(1, 3, 96, 96)
    with torch.no_grad():
        expected = trained.model.float().eval()(image)
    import onnxruntime
    session = onnxruntime.InferenceSession(exported, providers=['CPUExecutionProvider'])
    found = session.run(None, {session.get_inputs()[0].name: image.numpy()})[0]
    expected = expected[0] if isinstance(expected, (tuple, list)) else expected
    expected = (expected[0] if isinstance(expected, (tuple, list)) else expected).numpy()
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-3 * expected.std()
    result, = ultralytics.YOLO(exported, task=model.task).predict(np.zeros((96, 96, 3), np.uint8), imgsz=96, verbose=False)
    assert result.names


def test_weights(tmp_path, monkeypatch):
    """The name of a file in place of None in the line ``TorchVision`` loads it."""
    monkeypatch.chdir(tmp_path)
    weights = get_model('mobilevitv3_xxs').state_dict()
    torch.save(weights, 'x.pth')
    yaml = Path(CONFIGS['mobilevitv3_xxs']).read_text()
    Path('x.yaml').write_text(yaml.replace('mobilevitv3_xxs, None', 'mobilevitv3_xxs, x.pth'))
    backbone = ultralytics.YOLO('x.yaml').model.model[0]
    assert torch.equal(backbone.m[0].weight, weights['stem.conv.weight'])


def test_saved_model_needs_no_registration(data, tmp_path):
    """What Ultralytics saved opens in a process that never asked for our names."""
    ultralytics.YOLO(CONFIGS['mobilevitv3_xxs-cls']).save(tmp_path / 'x.pt')
    image = next(Path(data['classify']).rglob('*.png'))
    script = f'from ultralytics import YOLO; YOLO("x.pt").predict(imgsz=64, source={str(image)!r})'
    found = subprocess.run([sys.executable, '-c', script], cwd=tmp_path, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize('suffix, task', NETWORKS.items())
def test_command(suffix, task, data, tmp_path):
    """The command trains, validates, predicts and exports, called through `python -m mvit3_bench.integrations`."""
    def yolo(mode, **arguments):
        words = [f'{key}={value}' for key, value in arguments.items()]
        found = subprocess.run([*YOLO_COMMAND, task, mode, *words], cwd=tmp_path, capture_output=True, text=True,
                               env=os.environ | dict(OMP_NUM_THREADS='1'))
        assert found.returncode == 0, found.stdout + found.stderr
        return found.stdout + found.stderr

    yolo('train', model=CONFIGS[f'mobilevitv3_xxs{suffix}'], data=data[task], project=tmp_path, name='run', **SETTINGS)
    weights = tmp_path / 'run' / 'weights' / 'best.pt'
    yolo('val', model=weights, data=data[task], imgsz=96, workers=0, device='cpu', plots=False)
    yolo('predict', model=weights, source=next(Path(data['classify']).rglob('*.png')), imgsz=96, device='cpu',
         project=tmp_path, name='seen')
    yolo('export', model=weights, format='onnx', imgsz=96, device='cpu')
    assert weights.with_suffix('.onnx').is_file()
