"""What the machine has for a run: processor, memory, GPU, shared memory, open files."""
import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch

from .. import machine
from .finding import ERROR, INFO, OK, WARNING, Finding

_finding = partial(Finding, 'machine')
_GB = 1e9
_LOW_MEMORY = 4  # GB
_LOW_SHARED = 1  # GB; containers begin with 0.064
_FEW_FILES = 1024  # tensors that workers hand over are files
SHARED = Path('/dev/shm')


def cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()


def examine_resources() -> Iterator[Finding]:
    """Processor, memory, GPU, shared memory, open files."""
    yield _processor()
    yield _memory()
    yield from _cuda()
    yield _shared_memory()
    yield from _open_files()


def _processor() -> Finding:
    found, threads = machine.hardware(torch.device('cpu')), torch.get_num_threads()
    text = f'{found["cpu"]}, cores: {cores()}, threads: {threads}'
    if threads > cores():
        return _finding('processor', WARNING, text + ': more threads than cores', f'export OMP_NUM_THREADS={cores()}')
    return _finding('processor', OK, text)


def _memory() -> Finding:
    total = machine.hardware(torch.device('cpu'))['memory_gb']
    if 'SC_AVPHYS_PAGES' not in os.sysconf_names:
        return _finding('memory', INFO, f'{total} GB')
    # what the page cache holds can be had as well, and only the kernel knows how much that is
    lines = Path('/proc/meminfo').read_text().splitlines() if Path('/proc/meminfo').is_file() else []
    free = next((int(line.split()[1]) * 1024 for line in lines if line.startswith('MemAvailable')),
                os.sysconf('SC_AVPHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')) / _GB
    limit = Path('/sys/fs/cgroup/memory.max')
    text = f'{free:.1f} of {total} GB available'
    if limit.is_file() and (bound := limit.read_text().strip()).isdigit():
        text += f', of which this container may use {int(bound) / _GB:.1f}'
        free = min(free, int(bound) / _GB)
    if free < _LOW_MEMORY:
        return _finding('memory', WARNING, text, 'smaller train_dataloader.batch_size, fewer num_workers')
    return _finding('memory', OK, text)


def _cuda() -> Iterator[Finding]:
    if torch.version.cuda is None:
        yield _finding('GPU', INFO, 'this torch is built for the CPU: runs take days that take hours on a GPU; --mini takes '
                                    'minutes', 'with an NVIDIA GPU: install a CUDA build of torch')
        return
    if not torch.cuda.is_available():
        yield _finding('GPU', INFO, f'none that torch (CUDA {torch.version.cuda}) can use: runs take days that take hours '
                                    'on a GPU; --mini takes minutes',
                       f'with an NVIDIA GPU: a driver for CUDA {torch.version.cuda} (nvidia-smi shows it), and '
                       'CUDA_VISIBLE_DEVICES unset')
        return
    for number in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(number)
        text = f'{properties.name}, {properties.total_memory / _GB:.0f} GB, CUDA {torch.version.cuda}'
        try:
            free, _ = torch.cuda.mem_get_info(number)
            torch.ones(8, device=f'cuda:{number}').sum().item()
        except RuntimeError as error:
            yield _finding(f'GPU {number}', ERROR, f'{text}: a sum fails: {str(error).partition(chr(10))[0]}',
                           'a torch built for this GPU and driver')
            continue
        busy = free < properties.total_memory / 2
        yield _finding(f'GPU {number}', WARNING if busy else OK, f'{text}, {free / _GB:.0f} GB free',
                       'end what else runs on it (nvidia-smi), or choose another with CUDA_VISIBLE_DEVICES' if busy else '')


def _shared_memory() -> Finding:
    if not SHARED.is_dir():
        return _finding('shared memory', INFO, f'no {SHARED}')
    usage = shutil.disk_usage(SHARED)
    text = f'{SHARED}: {usage.free / _GB:.2f} of {usage.total / _GB:.2f} GB free'
    if usage.free < _LOW_SHARED * _GB:
        return _finding('shared memory', WARNING, text + '; workers of data loaders hand batches over in it',
                        'docker run --shm-size=8g, or train_dataloader.num_workers=0 with persistent_workers=False')
    return _finding('shared memory', OK, text)


def _open_files() -> Iterator[Finding]:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < _FEW_FILES:
        yield _finding('open files', WARNING, f'at most {soft}; workers of data loaders may need more',
                       f'ulimit -n {65536 if hard < 0 else min(hard, 65536)}')
    else:
        yield _finding('open files', OK, 'no limit' if soft < 0 else f'at most {soft}')
