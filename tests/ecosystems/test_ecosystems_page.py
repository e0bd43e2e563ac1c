"""docs/ecosystems.md: its examples run, each in an empty folder; those of a package that is not installed are skipped."""
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import ROOT
from drawn import draw_data

PAGE = (ROOT / 'docs' / 'ecosystems.md').read_text(encoding='utf-8')
EXAMPLES = [pytest.param(title, language, code, id=f'{title}-{language}')
            for title, section in re.findall(r'^## (.+?)\n(.*?)(?=^## |\Z)', PAGE, re.DOTALL | re.MULTILINE)
            for language, code in re.findall(r'```(python|bash)\n(.*?)```', section, re.DOTALL)
            if title not in ('Weights', 'Other OpenMMLab projects')]  # which have tests of their own


@pytest.mark.parametrize('title, language, code', EXAMPLES)
def test_example(title, language, code, tmp_path, monkeypatch):
    """Python runs in this process, and registers the names first; commands run in a shell, by this Python."""
    for package in re.findall(r'^(?:import|from) (\w+)', code, re.MULTILINE) + ['ultralytics'] * (language == 'bash'):
        if find_spec(package) is None:
            pytest.skip(f'{package} is not installed')
    monkeypatch.chdir(ROOT if title == 'torch.hub' else tmp_path)
    monkeypatch.setenv('PATH', str(Path(sys.executable).parent), prepend=':')
    if title == 'Ultralytics':
        draw_data(tmp_path)
    if language == 'python':
        assert 'mvit3_bench' in code or title == 'torch.hub'
        exec(compile(code, title, 'exec'), dict(__name__='example'))
    else:
        found = subprocess.run(['bash', '-euc', code], capture_output=True, text=True)
        assert found.returncode == 0, found.stdout + found.stderr
