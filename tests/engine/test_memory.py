"""Memory that a training frees stays with its process."""
import subprocess
import sys

import pytest

CODE = '''
import resource
import torch
from mvit3_bench.utils.memory import keep_freed_memory

def pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(2**24)  # 64 MiB, 16,384 pages
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(pages(), keep_freed_memory(), pages(), pages())
'''


@pytest.mark.skipif(sys.platform != 'linux', reason='glibc is of Linux')
def test_freed_memory_is_kept():
    """A block that is freed is not taken from the system again, page by page."""
    result = subprocess.run([sys.executable, '-c', CODE], capture_output=True, text=True, check=True)
    before, told, _, after = result.stdout.split()
    if told == 'False':
        pytest.skip('the C library is not glibc')
    assert int(before) > 10 * int(after) and int(after) < 2**14, result.stdout
