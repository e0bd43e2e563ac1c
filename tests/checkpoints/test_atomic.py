"""Files are written as a whole or not at all."""
import errno
import os
import resource
import signal
import stat
import subprocess
import sys

import conftest
import pytest
import torch

from mvit3_bench.checkpoints.atomic import atomic_write, remove_parts, write_text
from mvit3_bench.checkpoints.io import read_checkpoint, write_checkpoint
from mvit3_bench.errors import WriteError, space_needed


@pytest.fixture
def limit():
    """Let no file grow beyond a megabyte, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_full_disk(tmp_path, limit, suffix):
    """The old file stays, nothing else is left, and the message names the file and the free space."""
    file = tmp_path / f'x{suffix}'
    write_checkpoint(file, dict(weight=torch.ones(3)))
    with pytest.raises(WriteError, match=rf'cannot write .*x{suffix}: File too large; [\d.]+ MB are free'):
        write_checkpoint(file, dict(weight=torch.ones(1_000_000)))
    assert list(tmp_path.iterdir()) == [file] and torch.equal(read_checkpoint(file)['weight'], torch.ones(3))


def test_interrupted(tmp_path):
    """Another error leaves the old file as well, and is passed on as it is."""
    write_text(tmp_path / 'x', 'old')
    with pytest.raises(KeyError), atomic_write(tmp_path / 'x') as file:
        file.write(b'new')
        raise KeyError
    assert [path.name for path in tmp_path.iterdir()] == ['x'] and (tmp_path / 'x').read_text() == 'old'


def test_missing_folder_is_made(tmp_path):
    """The folder of a file is made; where it cannot be, the message names the file."""
    write_text(tmp_path / 'a' / 'b', 'new')
    assert (tmp_path / 'a' / 'b').read_text() == 'new'
    with pytest.raises(WriteError, match='cannot write .*a/b/c: '):
        write_text(tmp_path / 'a' / 'b' / 'c', 'new')


@pytest.mark.parametrize('name, there', [('x', ''), ('a/x', 'a'), ('a/b/x', 'a')])
def test_full_disk_at_a_folder(tmp_path, monkeypatch, name, there):
    """A disk too full for a folder is told as such, with the folder that is there; also where another one makes it."""
    def full(path, *args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    (tmp_path / 'a').mkdir()
    monkeypatch.setattr(os, 'mkdir', full)
    message = f'cannot write .*/{name}: No space left on device; [0-9.]+ MB are free in {tmp_path / there}\n'
    with pytest.raises(WriteError, match=message), space_needed():
        (tmp_path / name).mkdir(parents=True)
    if not (tmp_path / name).parent.is_dir():
        with pytest.raises(WriteError, match=message):
            write_text(tmp_path / name, 'new')


def test_killed_while_writing(tmp_path):
    """A process killed again and again while it writes leaves a whole file each time, and hidden parts to remove."""
    file = tmp_path / 'x.pth'
    code = ('import sys, torch; from mvit3_bench.checkpoints.io import write_checkpoint\n'
            'for number in range(10**9):\n'
            '    write_checkpoint(sys.argv[1], dict(weight=torch.full((500_000,), float(number))))\n'
            '    print(number, flush=True)')
    for _ in range(2):
        process = subprocess.Popen([sys.executable, '-c', code, str(file)], stdout=subprocess.PIPE,
                                   env=dict(os.environ, PYTHONPATH=str(conftest.ROOT)))
        process.stdout.readline()
        while not list(tmp_path.glob('.x.pth.*')):  # until it is writing
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
        weight = read_checkpoint(file)['weight']
        assert len(weight) == 500_000 and weight.unique().numel() == 1
    remove_parts(tmp_path)
    assert list(tmp_path.iterdir()) == [file]


def test_only_abandoned_parts_are_removed(tmp_path):
    """Those of a process that is gone; a living one's, a download and a user's file stay."""
    mine, gone = tmp_path / f'.x.pth.{os.getpid()}.part', tmp_path / '.x.pth.99999999.part'
    others = [tmp_path / '.download.part', tmp_path / 'x.part']
    for file in (gone, *others):
        file.touch()
    with mine.open('w'):
        assert remove_parts(tmp_path) == [gone]
        assert mine.exists() and all(file.exists() for file in others)
    assert remove_parts(tmp_path) == [mine]


def test_folder_that_cannot_be_synchronised(tmp_path, monkeypatch):
    """On some network file systems a folder cannot be: the file is written all the same."""
    def fsync(descriptor, real=os.fsync):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, 'Invalid argument')
        real(descriptor)
    monkeypatch.setattr(os, 'fsync', fsync)
    write_text(tmp_path / 'x', 'new')
    assert (tmp_path / 'x').read_text() == 'new'
