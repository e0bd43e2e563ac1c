"""A folder that is either there and whole, or not there at all."""

import json
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

RECORD = 'mini.json'


def make_folder_once(root: Path, recipe: dict, files: Iterable[str],
                     write: Callable[[Path], None]) -> Path:
    """Makes `root` with `write`, or reuses the one that the same recipe made before.

    The files are written next to `root` and renamed at the end. Whatever stops the work leaves
    nothing at `root`, and of two processes that make it at once the second takes the first's.

    Args:
        root: the folder to make; its parents are made as needed.
        recipe: all that decides the content, kept in `mini.json`; JSON types only.
        files: the paths below `root` that a whole folder has.
        write: fills the folder it is given.

    Returns:
        root

    Raises:
        FileExistsError: `root` is there, but is not what this recipe makes. It is left as it is.
    """
    files = list(files)
    if os.path.lexists(root):  # a dangling link counts too: it says where someone's data should be
        return _reused(root, recipe, files)
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f'.{root.name}.', dir=root.parent) as scratch:
        draft = Path(scratch) / root.name  # one deeper, as a temporary folder is private (0700)
        draft.mkdir()
        write(draft)
        (draft / RECORD).write_text(json.dumps(recipe, indent=2) + '\n', encoding='utf-8')
        try:
            draft.rename(root)
        except OSError:
            if not os.path.lexists(root):
                raise
            return _reused(root, recipe, files)
    return root


def _reused(root: Path, recipe: dict, files: list[str]) -> Path:
    """`root`, if the recipe made it and every file is still there."""
    record = root / RECORD
    if not record.is_file():
        raise _refusal(root, f'has no {RECORD}, so it was not made here and may be your own data')
    try:
        found = json.loads(record.read_text(encoding='utf-8'))
    except ValueError:
        raise _refusal(root, f'has an unreadable {RECORD}') from None
    if found != recipe:
        raise _refusal(root, f'was made with {found}, not with {recipe}')
    missing = [name for name in files if not (root / name).is_file()]
    if missing:
        raise _refusal(root, f'lacks {len(missing)} of its files, such as {missing[0]}')
    return root


def _refusal(root: Path, why: str) -> FileExistsError:
    return FileExistsError(
        f'{root} {why}. It is left as it is: choose another root, or move it away if you no '
        'longer need it.')
