"""Long lists in messages: their beginning, or their groups."""
from collections import Counter
from collections.abc import Iterable


def shown(names: Iterable[str], most: int = 5, total: bool = False) -> str:
    """``a, b, c, d, e, ...``: the first names of a list.

    Args:
        names: The names.
        most: How many to show.
        total: Whether to add, where there are more, how many there are.
    """
    names = list(names)
    rest = (', ...' + (f' ({len(names)} in all)' if total else '')) if len(names) > most else ''
    return ', '.join(names[:most]) + rest


def grouped(keys: Iterable[str]) -> str:
    """``a.b.c, a.b.d`` -> ``a.b (2)``: the first two parts of each key, counted."""
    groups = Counter('.'.join(key.split('.')[:2]) for key in keys)
    return shown((f'{group} ({count})' for group, count in groups.items()), most=12)
