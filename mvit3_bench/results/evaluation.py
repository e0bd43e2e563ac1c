"""Evaluating a folder of checkpoints: each is identified, converted, tested with its config, and recorded."""
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..checkpoints.io import check_finite, read_file, write_checkpoint
from ..converters.extract import extract_state_dict
from ..converters.identify import takes_rgb, to_ours
from ..errors import EvaluationError, error_in
from ..mmlab.configs import Match, match_configs, meta_of
from ..utils.paths import MIM
from .store import Result
from .store import read_file as read_result

SUFFIXES = ('.pt', '.pth', '.safetensors')


@dataclass(frozen=True)
class Evaluation:
    """What became of one file.

    Args:
        name: The file, below the folder.
        config: Path of the config below ``configs/``; empty if none was found.
        result: Its result in the store, None if there is none.
        error: Why there is none.
    """
    name: str
    config: str = ''
    result: Result | None = None
    error: str = ''


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder and those below it."""
    return sorted(path for path in Path(folder).rglob('*') if path.suffix in SUFFIXES and path.is_file())


def convert(path: Path, target: Path) -> tuple[str, Path]:
    """Give a checkpoint our names, if it has others.

    Args:
        path: The checkpoint.
        target: File to write.

    Returns:
        Path of the config that it fits, below ``configs/``; and the file to test: a checkpoint with our names as it is.

    Raises:
        CheckpointError: The file cannot be read safely.
        ValueError: It is none of our models, or there is no config for it.
    """
    checkpoint = read_file(path)
    state_dict, _ = extract_state_dict(checkpoint)
    found = match_configs(state_dict)
    check_finite(path, state_dict)
    config = _config_of(found, path)
    if takes_rgb(checkpoint, found):
        raise ValueError(f'these weights take RGB, and the configs of {found.model} feed BGR; see docs/weights.md')
    if found.names == 'ours':
        return config, path
    write_checkpoint(target, to_ours(state_dict, found.names, found.task), meta_of(checkpoint, found, path.name))
    return config, target


def _config_of(found: Match, path: Path) -> str:
    """The config to test with, below ``configs/``. Weights do not tell their image size: a name with 384 does."""
    configs = [config.removeprefix('configs/') for config in found.configs if ' ' not in config]
    if not configs:
        raise ValueError(f'{found.model}, {found.task} with {found.num_classes or "no"} classes: '
                         + (f'fits only {found.configs[0]}' if found.configs else 'no config to test it with'))
    large = '384' in f'{path.parent.name}/{path.stem}'
    return next((config for config in configs if ('_384_' in config) == large), configs[0])


def evaluate(path: Path, name: str, work_dir: Path, store: Path, flags: Sequence[str]) -> Evaluation:
    """Evaluate one checkpoint in a separate process.

    Args:
        path: The checkpoint.
        name: What to call it.
        work_dir: Folder for the converted checkpoint and the log.
        store: The store of results.
        flags: More arguments for ``tools/test.py``.
    """
    config = ''
    work_dir.mkdir(parents=True, exist_ok=True)
    try:
        config, tested = convert(path, work_dir / f'{path.stem}.pth')
        result = _test(config, tested, work_dir, store, flags)
    except Exception as error:  # whatever is wrong with one file, the others are evaluated, and this one is listed
        return Evaluation(name, config, error=str(error) or type(error).__name__)
    return Evaluation(name, config, result)


def _test(config: str, checkpoint: Path, work_dir: Path, store: Path, flags: Sequence[str]) -> Result:
    """Test, and read the result that was just written."""
    command = [sys.executable, str(MIM / 'tools' / 'test.py'), str(MIM / 'configs' / config), str(checkpoint),
               '--work-dir', str(work_dir), '--record', str(store), *flags]
    log = work_dir / 'test.log'
    with open(log, 'w', encoding='utf-8') as file:
        code = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False).returncode
    text = log.read_text(encoding='utf-8', errors='replace')
    if not code:
        return read_result(Path(re.findall('^recorded: (.*)$', text, re.MULTILINE)[-1]))
    raise EvaluationError(f'{error_in(text) or f"exit code {code}"} (log: {log})')
