"""mmpretrain is imported beside a transformers that breaks its multimodal models."""
import os
import subprocess
import sys

import conftest
import pytest


def test_mmpretrain_beside_a_newer_transformers(tmp_path):
    """As exporters install it: without what mmpretrain's multimodal models import. They are left out."""
    pytest.importorskip('mmpretrain')
    for name, text in {'transformers/__init__.py': '', 'transformers/modeling_utils.py': 'class PreTrainedModel: pass\n',
                       'transformers-5.24.0.dist-info/METADATA': 'Name: transformers\nVersion: 5.24.0\n'}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    code = ('import mvit3_bench.compat, mmpretrain.models, sys; from mmpretrain.registry import MODELS;'
            'print(MODELS.get("ImageClassifier").__name__, "mmpretrain.models.multimodal.blip" in sys.modules)')
    paths = os.pathsep.join([str(tmp_path), str(conftest.ROOT)])
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
                          env=os.environ | dict(PYTHONPATH=paths))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-2:] == ['ImageClassifier', 'False']
