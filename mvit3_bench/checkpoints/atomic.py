"""Atomic writing: an interruption, even a power cut, leaves the old file or the new one, never a part."""
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ..errors import WriteError


@contextmanager
def atomic_write(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file that replaces ``path`` when the block ends without an error; the folder is made if it is not there.

    The file is written under a hidden name in the same folder, synchronised with the disk and renamed.

    Raises:
        WriteError: The disk is full, or the system has another error; the partial file is removed.
    """
    path = Path(path)
    part = path.with_name(f'.{path.name}.{os.getpid()}.part')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open('wb') as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        _sync_folder(path.parent)
    except (OSError, RuntimeError) as error:
        cause = error if isinstance(error, OSError) else error.__context__  # torch.save raises another one on the way out
        if not isinstance(cause, OSError):
            raise
        raise WriteError(path, cause) from error
    finally:
        with suppress(OSError):  # a name too long, a file in place of the folder: it was never there
            part.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Synchronise the folder with the disk, so that the new name survives a power cut; POSIX alone can."""
    if os.name == 'posix':
        with suppress(OSError):  # some file systems cannot, and the file is there already
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def write_text(path: str | Path, text: str) -> None:
    """Write a small text file; errors as :func:`atomic_write`."""
    with atomic_write(path) as file:
        file.write(text.encode())


def remove_parts(folder: str | Path) -> list[Path]:
    """Remove what processes that were killed while writing have left in a folder; files of other names stay.

    Returns:
        The files removed.
    """
    found = ((path, re.fullmatch(r'\..+\.(\d+)\.part', path.name)) for path in Path(folder).glob('.*.part'))
    parts = sorted(path for path, name in found if name and not _writes(int(name[1]), path))
    for part in parts:
        part.unlink(missing_ok=True)
    return parts


def _writes(process: int, part: Path) -> bool:
    """Whether a process may be writing a file: it has it open; or it cannot be looked at, and the file is new."""
    if Path('/proc/self/fd').is_dir():
        try:
            return any(os.path.realpath(link) == str(part.resolve()) for link in Path(f'/proc/{process}/fd').iterdir())
        except PermissionError:  # another user's
            pass
        except OSError:  # it has ended
            return False
    return time.time() - part.stat().st_mtime < 60
