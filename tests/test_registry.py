"""MMEngine finds the backbones by their prefix, from any folder and in any framework.

Each case is a process of its own, since what a process imported once would hide what is missing.
"""
import os
import subprocess
import sys
import textwrap
from importlib.util import find_spec

import conftest
import pytest

needs_mmengine = pytest.mark.skipif(find_spec('mmengine') is None, reason='MMEngine is not installed')
needs_mmseg = pytest.mark.skipif(find_spec('mmseg') is None, reason='mmsegmentation is not installed')

CONFIG = """
custom_imports = dict(imports=['mvit3_bench.compat'])
default_scope = 'mmseg'
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(type='SegDataPreProcessor', size=(64, 64)),
    backbone=dict(type='mvit3_bench.MobileViTv3', arch='xxs'),
    decode_head=dict(
        type='FCNHead', in_channels=128, in_index=3, channels=16, num_classes=4,
        loss_decode=dict(type='CrossEntropyLoss')),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
"""


@pytest.fixture
def python(tmp_path):
    """Run code in a fresh process in an empty folder: ``python(code)`` -> what it printed; fails where it fails."""
    def call(code: str) -> str:
        done = subprocess.run([sys.executable, '-W', 'ignore', '-c', textwrap.dedent(code)], cwd=tmp_path, text=True,
                              env=dict(os.environ, PYTHONPATH=str(conftest.ROOT)), capture_output=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout
    return call


@needs_mmengine
def test_root_registry(python):
    """MMEngine's own registry builds each family by its prefix, without an import of ours; and loads no data set."""
    python('''
        import sys
        from mmengine.registry import MODELS
        for version, arch in ((1, 'xxs'), (2, '0.5'), (3, 'xxs')):
            model = MODELS.build(dict(type=f'mvit3_bench.MobileViTv{version}', arch=arch))
            assert type(model).__name__ == f'MobileViTv{version}'
            assert type(model).__module__.startswith('mvit3_bench.models')
        assert 'mvit3_bench.datasets' not in sys.modules
    ''')


@needs_mmseg
def test_mmseg_registry(python):
    """mmsegmentation's registry builds a backbone by our prefix, in its own default scope."""
    python('''
        from mmengine.utils import import_modules_from_strings
        import_modules_from_strings(['mvit3_bench.compat'])
        from mmengine.registry import init_default_scope
        from mmseg.registry import MODELS
        init_default_scope('mmseg')
        model = MODELS.build(dict(type='mvit3_bench.MobileViTv3', arch='xxs'))
        assert model.out_channels == (24, 64, 80, 128)
    ''')


@needs_mmseg
def test_stock_config(python, tmp_path):
    """A stock config of mmsegmentation with our backbone in it builds, and runs an image."""
    (tmp_path / 'stock.py').write_text(CONFIG)
    python('''
        import torch
        from mmengine.config import Config
        from mmengine.registry import MODELS, init_default_scope
        cfg = Config.fromfile('stock.py')
        init_default_scope(cfg.default_scope)
        model = MODELS.build(cfg.model).eval()
        assert type(model).__module__.startswith('mmseg.')
        assert type(model.backbone).__module__.startswith('mvit3_bench.')
        with torch.no_grad():
            out = model(torch.rand(1, 3, 64, 64))
        assert out.shape == (1, 4, 2, 2) and out.isfinite().all()
    ''')


@pytest.mark.parametrize('missing', ['mmengine', 'mmcv'])
def test_without_framework(python, missing):
    """Without MMEngine or without mmcv the package imports, and its models say what to install."""
    out = python(f'''
        import sys
        sys.modules[{missing!r}] = None  # what Python does with a module that must not be found
        import mvit3_bench
        try:
            import mvit3_bench.models
        except ImportError as error:
            print(mvit3_bench.__version__, error)
        else:
            print('imported')
    ''')
    assert 'mvit3-bench[openmmlab]' in out
