"""docs/ecosystems.md: each Python block runs, as a file of its own."""
import os
import re
import subprocess
import sys

import conftest
import pytest

for package in ('timm', 'torchvision'):
    pytest.importorskip(package, reason=f'{package} is not installed')

PAGE = (conftest.ROOT / 'docs' / 'ecosystems.md').read_text()
SECTIONS = dict(re.findall(r'\n## (.+?)\n.*?```python\n(.*?)```', PAGE, re.DOTALL))


@pytest.mark.parametrize('title', SECTIONS)
def test_example(title):
    assert len(SECTIONS) == 3
    found = subprocess.run([sys.executable, '-c', SECTIONS[title]], cwd=conftest.ROOT, capture_output=True, text=True,
                           env=dict(os.environ, PYTHONPATH=str(conftest.ROOT)))
    assert found.returncode == 0, found.stderr
