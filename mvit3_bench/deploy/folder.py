"""Folders that an export fills."""
from collections.abc import Iterable
from pathlib import Path

from ..errors import UsageError


def check_folder(folder: Path, written: Iterable[str]) -> None:
    """Check that a folder, if it is there, has nothing but what an export writes, such as one that broke off.

    Args:
        folder: Where it will write.
        written: Names of what it writes.

    Raises:
        UsageError: The folder has another file, or is one.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f'{folder} is a file', folder, 'name a folder (--out)')
    known = set(written)
    others = sorted(each.name for each in folder.glob('*') if each.name not in known and not each.name.startswith('.'))
    if others:
        raise UsageError(f'{folder} has {others[0]}, which no such export writes', folder,
                         'name a new or an empty folder (--out)')
