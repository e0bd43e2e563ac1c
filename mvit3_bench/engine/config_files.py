"""The configs of this package by name. Needs nothing but Python."""
import ast
from difflib import get_close_matches
from pathlib import Path

from ..errors import UsageError
from ..utils.paths import MIM


def config_files() -> list[Path]:
    """The configs of this package, of a checkout or installed, without the parts that they are made of."""
    return sorted(path for path in (MIM / 'configs').rglob('*.py') if '_base_' not in path.parts)


def name_of(path: Path) -> str:
    """Folder and name of a config of this package, as in ``'seg/deeplabv3_mvit3_1.0_ade20k'``."""
    return path.relative_to(MIM / 'configs').as_posix().removesuffix('.py')


def title_of(path: Path) -> str:
    """The first line of a config's docstring."""
    return ast.get_docstring(ast.parse(path.read_text(encoding='utf-8'))).splitlines()[0]


def find_config(config: str) -> str:
    """The file of a config that is given by its path, or by its name in this package.

    Args:
        config: A path; or a name such as ``'deeplabv3_mvit3_1.0_ade20k'``, ``'seg/deeplabv3_mvit3_1.0_ade20k'`` or either
            with ``.py``, of a config of this package.

    Raises:
        UsageError: No file and no config of this package is meant, or configs in two folders are; the message lists them.
    """
    if Path(config).is_file():
        return config
    name = config.removeprefix('configs/').removesuffix('.py')
    ours = {name_of(path): path for path in config_files()}
    found = [key for key in ours if name in (key, key.rpartition('/')[2])]
    if len(found) == 1:
        return str(ours[found[0]])
    if found:
        raise UsageError(f'config {config} is in {len(found)} folders: {", ".join(found)}', config, 'name one of them')
    neighbours = [str(path) for path in Path(config).parent.glob('*.py')]
    known = get_close_matches(config, neighbours, n=8) or get_close_matches(name, ours, n=8, cutoff=0)
    raise UsageError(f'config not found: {config}', config, f'there are: {", ".join(known)}', '\n  ')
