"""How two state dicts differ."""
from torch import Tensor

from ..utils.text import shown


def differences(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, list[str]]:
    """What keeps a state dict from loading with ``strict=True``: kind -> keys; empty if nothing does.

    The kinds are ``'missing'``, ``'unexpected'``, ``'of another shape'`` and, where real numbers are wanted, ``'not of real
    numbers'``, such as the integers of quantised weights.
    """
    kinds = {
        'missing': [key for key in wanted if key not in found],
        'unexpected': [key for key in found if key not in wanted],
        'of another shape': [key for key in wanted if key in found and found[key].shape != wanted[key].shape],
        'not of real numbers': [key for key in wanted if key in found and wanted[key].is_floating_point()
                                and not found[key].is_floating_point()]}
    return {kind: keys for kind, keys in kinds.items() if keys}


def report(problems: dict[str, list[str]], found: dict[str, Tensor], wanted: dict[str, Tensor]) -> str:
    """What :func:`differences` found as text, a line a kind."""
    lines = []
    for kind, keys in problems.items():
        if kind == 'of another shape':
            keys = [f'{key} {tuple(found[key].shape)} instead of {tuple(wanted[key].shape)}' for key in keys]
        lines.append(f'  {len(keys)} {kind}: {shown(keys)}')
    return '\n'.join(lines)
