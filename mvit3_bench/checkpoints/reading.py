"""Reading checkpoints: untrusted input, so tensors and plain values only. Needs torch alone."""
import os
from importlib.util import find_spec
from pathlib import Path

from torch import Tensor

from ..errors import CheckpointError, MissingFileError, UnsafePickleError, first_line
from ..utils.text import shown
from .untrusted import load_safetensors, load_torch


def read_file(path: str | Path, map_location='cpu') -> dict:
    """Read a dictionary from a file without running anything in it: of ``torch.save``, or of safetensors by its suffix.

    Args:
        path: The file.
        map_location: Device, as of ``torch.load``.

    Returns:
        What the file holds; of safetensors its tensors, under ``state_dict`` if there is a ``meta`` beside them.

    Raises:
        FileNotFoundError: There is no such file.
        CheckpointError: It is not a checkpoint, or holds more than dense tensors and plain values; or it is one of
            safetensors, and the package is not installed.
    """
    if not os.path.exists(path):  # a name too long for the system is no file, either
        raise MissingFileError(f'checkpoint not found: {path}', path)
    if not Path(path).is_file():
        raise CheckpointError(f'{path} is a {"folder" if Path(path).is_dir() else "device or pipe"}, not a checkpoint file',
                              path)
    check_safetensors(path)
    try:
        checkpoint = (load_safetensors if is_safetensors(path) else load_torch)(path, map_location)
    except UnsafePickleError as error:
        raise CheckpointError(f'{path} is not a checkpoint that can be read safely. Found: {error}', path,
                              'Files of tensors alone can be: torch.save(model.state_dict(), FILE) writes one',
                              '\n  ') from error
    except Exception as error:  # torch raises many types, depending on where a file breaks off
        reason = first_line(error)
        raise CheckpointError(f'{path} is not a checkpoint that can be read safely: {reason}', path) from error
    if not isinstance(checkpoint, dict):
        raise CheckpointError(f'{path} holds no state dict: found {type(checkpoint).__name__} without tensors', path)
    if not isinstance(checkpoint.get('meta', {}), dict):
        raise CheckpointError(
            f'{path} is no checkpoint: its entry "meta" is no dictionary, but {type(checkpoint["meta"]).__name__}',
            path)
    return checkpoint


def is_safetensors(path: str | Path) -> bool:
    """Whether a file is one of safetensors, by its suffix."""
    return Path(path).suffix.lower() == '.safetensors'


def check_safetensors(path: str | Path) -> None:
    """Check that a file of safetensors can be read or written.

    Raises:
        CheckpointError: It is one, and the package is not installed.
    """
    if is_safetensors(path) and not find_spec('safetensors'):
        raise CheckpointError(f'{path} needs the package safetensors', path, 'pip install safetensors', ': ')


def read_checkpoint(path: str | Path) -> dict:
    """Read a checkpoint as MMEngine would, but safely.

    Returns:
        The dictionary it holds, on the CPU; tensors are under ``'state_dict'``, or at the top.

    Raises:
        FileNotFoundError, CheckpointError: As :func:`read_file`; or there are no tensors at these places, or not only
            tensors.
    """
    checkpoint = read_file(path)
    state_dict = state_dict_of(checkpoint)
    if not any(isinstance(value, Tensor) for value in state_dict.values()):
        raise CheckpointError(f'{path} holds no state dict: found {type(checkpoint).__name__} without tensors', path)
    if others := [str(key) for key, value in state_dict.items() if not isinstance(value, Tensor)]:
        raise CheckpointError(f'{path}: {len(others)} entries of its state dict are no tensors: {shown(others)}')
    return checkpoint


def state_dict_of(checkpoint: dict) -> dict:
    """The tensors of a checkpoint: those under ``state_dict``, or itself; empty if there are none."""
    state_dict = checkpoint.get('state_dict', checkpoint)
    return state_dict if isinstance(state_dict, dict) else {}
