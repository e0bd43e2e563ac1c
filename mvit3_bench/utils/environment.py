"""What a measurement was made on."""
import os
import platform
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import torch

from .packages import named

_PACKAGES = ('torch', 'timm', 'mmpretrain', 'onnxruntime', 'openvino')


def command_line() -> str:
    """The command of this process, as it is typed: ``mvit3 test ...`` or ``python tools/test.py ...``."""
    script = Path(sys.argv[0])
    words = ['python', f'tools/{script.name}'] if script.suffix == '.py' and script.parent.name == 'tools' else ['mvit3']
    return shlex.join([*words, *sys.argv[1:]])


def describe(device: torch.device) -> dict[str, str | int | float]:
    """Processor, memory, versions of what is installed, and the commit of a checkout.

    Args:
        device: Where the models run.
    """
    found = hardware(device) | {package: named(package) for package in _PACKAGES if find_spec(package)}
    return found | (dict(commit=checkout) if (checkout := commit()) else {})


def hardware(device: torch.device) -> dict[str, str | int | float]:
    """Processor, memory, and the Python on it.

    Args:
        device: Where the models run.
    """
    found = dict(cpu=_cpu(), instructions=torch.backends.cpu.get_cpu_capability(), cores=os.cpu_count(),
                 threads=torch.get_num_threads(), memory_gb=_memory())
    if device.type == 'cuda':
        found['gpu'] = torch.cuda.get_device_name(device)
    return found | dict(python=platform.python_version())


def line(machine: dict[str, str | int | float]) -> str:
    """A description in one line."""
    cpu = f'{machine["cpu"]} ({machine["instructions"]})' if 'instructions' in machine else machine['cpu']
    counts = f'cores: {machine["cores"]}, threads: {machine["threads"]}, {machine["memory_gb"]} GB'
    names = ('gpu', 'python', *_PACKAGES, 'commit')
    return ', '.join([cpu, counts, *(f'{name} {machine[name]}' for name in names if name in machine)])


def _cpu() -> str:
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
        return next(line.partition(':')[2].strip() for line in lines if line.startswith('model name'))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _memory() -> float | None:
    try:
        return round(os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9, 1)
    except (AttributeError, ValueError):  # not on every system
        return None


def commit() -> str | None:
    """Short commit of the checkout that this package is in, with a plus sign if files differ from it."""
    root = Path(__file__).parents[2]
    if not (root / '.git').exists():
        return None
    try:
        found, changes = (subprocess.run(['git', *arguments], cwd=root, capture_output=True, text=True, check=True).stdout
                           for arguments in (['rev-parse', '--short', 'HEAD'], ['status', '--porcelain', '-uno']))
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.strip() + '+' * bool(changes.strip())
