"""Differences between two state dicts."""
from torch import Tensor

from ..utils.text import shown


def differences(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, list[str]]:
    """Keys that keep a state dict from loading with ``strict=True``, by kind; empty if it loads.

    The kinds are ``'missing'``, ``'unexpected'``, ``'of another shape'`` and, where real numbers are wanted, ``'not of real
    numbers'``, for instance integers of quantised weights.
    """
    kinds = {
        'missing': [key for key in wanted if key not in found],
        'unexpected': [key for key in found if key not in wanted],
        'of another shape': [key for key in wanted if key in found and found[key].shape != wanted[key].shape],
        'not of real numbers': [key for key in wanted if key in found and wanted[key].is_floating_point()
                                and not found[key].is_floating_point()]}
    return {kind: keys for kind, keys in kinds.items() if keys}


def report(problems: dict[str, list[str]], found: dict[str, Tensor], wanted: dict[str, Tensor]) -> str:
    """Format the result of :func:`differences`, one line for each kind."""
    lines = []
    for kind, keys in problems.items():
        if kind == 'of another shape':
            keys = [f'{key} {tuple(found[key].shape)} instead of {tuple(wanted[key].shape)}' for key in keys]
        lines.append(f'  {len(keys)} {kind}: {shown(keys)}')
    return '\n'.join(lines)
