"""Atomic writing: an interruption, even a power cut, leaves the old file or the new one, never a part."""
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ..errors import WriteError

_PART = re.compile(r'\..+\.(\d+)\.part')  # of a number of a process


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
        with suppress(OSError):  # not every file system can; the file itself is there already
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def write_text(path: str | Path, text: str) -> None:
    """Write a small text file; errors as :func:`atomic_write`."""
    with atomic_write(path) as file:
        file.write(text.encode())


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # of another user
        pass
    return True


def remove_parts(folder: str | Path) -> list[Path]:
    """Remove what processes that were killed while writing have left in a folder.

    Returns:
        The files removed.
    """
    parts = [path for path in sorted(Path(folder).glob('.*.part'))
             if (match := _PART.fullmatch(path.name)) and not _is_alive(int(match[1]))]
    for part in parts:
        part.unlink(missing_ok=True)
    return parts
