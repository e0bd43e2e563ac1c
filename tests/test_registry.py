"""The backbone builds by name in fresh processes, from a foreign folder."""
import subprocess
import sys

import conftest
import pytest

BUILD = "print(type(MODELS.build(dict(type='mvit3_bench.MobileViTv3', arch='xxs'))).__name__)"


def python(code, folder):
    """Run code in a process and folder of its own."""
    return subprocess.run([sys.executable, '-c', code], cwd=folder, text=True, capture_output=True,
                          env=dict(conftest.os.environ, PYTHONPATH=str(conftest.ROOT)))


@pytest.mark.parametrize('prepare', [
    'from mmengine.registry import MODELS',
    'import mvit3_bench.compat; from mmengine.registry import init_default_scope; from mmseg.registry import MODELS; '
    "init_default_scope('mmseg')"], ids=['mmengine', 'mmseg'])
def test_build_by_name(prepare, tmp_path):
    """Under the default scope of mmengine and of mmseg."""
    if 'mmseg' in prepare:
        pytest.importorskip('mmseg', reason='mmsegmentation is not installed')
    result = python(f'{prepare}; {BUILD}', tmp_path)
    assert result.stdout.strip().endswith('MobileViTv3'), result.stderr


def test_without_openmmlab(tmp_path):
    """Without MMEngine the package imports, and its models say what to install."""
    result = python("import sys; sys.modules['mmengine'] = None; import mvit3_bench; import mvit3_bench.models", tmp_path)
    assert result.returncode == 1 and 'mvit3-bench[openmmlab]' in result.stderr.splitlines()[-1]
