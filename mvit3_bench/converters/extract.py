"""Extract the state dict of a checkpoint, whose tensors are at the top or in an entry beside optimiser and epoch."""
from torch import Tensor

from ..utils.text import shown
from .published import StateDict

# Averaged weights precede raw ones, since the published results are theirs.
_AVERAGED = ('state_dict_ema', 'model_ema_state_dict', 'model_ema', 'ema_model', 'ema_state_dict', 'ema')
_RAW = ('state_dict', 'model_state_dict', 'model')
_WITHIN = ('module', 'shadow')  # of an entry
_PREFIXES = ('module.', '_orig_mod.')  # of DistributedDataParallel and AveragedModel; of torch.compile
_COUNTERS = {'n_averaged', 'steps'}  # beside the prefix, of torch's AveragedModel and of MMEngine's
_MOST_PREFIXES = 4


def extract_state_dict(checkpoint: dict, depth: int = 2) -> tuple[StateDict, str]:
    """Extract the state dict of the model from a checkpoint; averaged weights (EMA) precede raw ones.

    Args:
        checkpoint: The contents of a file.
        depth: Levels of entries to search; a hostile file may contain itself.

    Returns:
        The state dict, without the prefixes of distributed training, averaging and compiling; and the name of its entry,
        ``''`` for the top.

    Raises:
        ValueError: There is no state dict, or averaged weights in a form that is not known.
    """
    failure = None
    for entry in _entries(checkpoint) if depth else ():
        try:
            state_dict, path = extract_state_dict(checkpoint[entry], depth - 1)
        except ValueError as error:
            if entry in _AVERAGED:
                raise ValueError(f'entry {entry} seems to hold averaged weights, but {error}; to convert other weights '
                                 'of the file, save them alone') from error
            failure = failure or ValueError(f'entry {entry}: {error}')
        else:
            return state_dict, f'{entry}.{path}'.rstrip('.')
    if not any(isinstance(value, Tensor) for value in checkpoint.values()):
        raise failure or ValueError(f'no state dict, neither at the top nor under {", ".join((*_AVERAGED, *_RAW))}; '
                                    f'found: {shown(map(str, checkpoint))}')
    if others := [str(key) for key, value in checkpoint.items()
                  if not isinstance(key, str) or not isinstance(value, Tensor)]:
        raise ValueError(f'{len(others)} entries are no tensors: {shown(others)}')
    return _without_prefixes(checkpoint), ''


def _entries(checkpoint: dict) -> list[str]:
    """Entries that may contain the state dict, in the order in which to try them.

    Raises:
        ValueError: Averaged weights are not in a dictionary.
    """
    averaged = [entry for entry in _AVERAGED if _holds_tensors(checkpoint.get(entry))]
    if odd := [entry for entry in averaged if not isinstance(checkpoint[entry], dict)]:
        raise ValueError(f'entry {odd[0]} seems to hold averaged weights, but without names: found '
                         f'{type(checkpoint[odd[0]]).__name__}; to convert other weights of the file, save them alone')
    raw = [entry for entry in (*_RAW, *_WITHIN) if isinstance(checkpoint.get(entry), dict)]
    # MMEngine has swapped them: the averaged ones are under `state_dict`, with the raw ones and a counter beside them
    return raw + averaged if 'ema_state_dict' in averaged and 'steps' in checkpoint['ema_state_dict'] else averaged + raw


def _holds_tensors(value, depth: int = 2) -> bool:
    """Whether a value contains weights, down to ``depth`` levels; scalar counters do not count."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return any(isinstance(part, Tensor) and part.ndim or depth > 0 and _holds_tensors(part, depth - 1) for part in parts)


def _without_prefixes(state_dict: StateDict) -> StateDict:
    for _ in range(_MOST_PREFIXES):
        prefix = next((prefix for prefix in _PREFIXES if any(key.startswith(prefix) for key in state_dict)), None)
        if prefix is None or not all(key.startswith(prefix) or key in _COUNTERS for key in state_dict):
            return state_dict
        state_dict = {key.removeprefix(prefix): value for key, value in state_dict.items() if key.startswith(prefix)}
    return state_dict
