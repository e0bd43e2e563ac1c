"""Which room imports which: the contract in setup.cfg."""
import subprocess
import sys
from pathlib import Path

import conftest


def test_rooms():
    """No room imports one above it, and models and converters import torch alone."""
    command = [str(Path(sys.executable).parent / 'lint-imports'), 'setup.cfg', '--no-cache']
    result = subprocess.run(command, cwd=conftest.ROOT, text=True, capture_output=True)
    assert result.returncode == 0, result.stdout
    assert '0 broken' in result.stdout
