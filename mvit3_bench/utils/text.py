"""Text for people: long lists in messages, tables in pages."""
from collections import Counter
from collections.abc import Iterable, Sequence

_LONGEST = 200  # characters; a key may be as long as its file


def printable(text: str, keep: str = '') -> str:
    """Text of others, with what could steer a terminal, and what is no character, as Python escapes it.

    Args:
        text: The text.
        keep: Characters that stay as they are, such as line breaks.
    """
    return ''.join(each if each.isprintable() or each in keep else each.encode('unicode_escape').decode() for each in text)


def not_text(names: Iterable[str]) -> list[str]:
    """Those names of files, or words of a command line, that are bytes without a meaning in UTF-8."""
    return [name for name in names if any('\ud800' <= each <= '\udfff' for each in name)]


def shown(names: Iterable[str], most: int = 5, total: bool = False) -> str:
    """``a, b, c, d, e, ...``: the first names of a list.

    Args:
        names: The names.
        most: How many to show.
        total: Whether to add, where there are more, how many there are.
    """
    names = list(map(printable, names))
    rest = (', ...' + (f' ({len(names)} in all)' if total else '')) if len(names) > most else ''
    return ', '.join(name if len(name) <= _LONGEST else f'{name[:_LONGEST]}...' for name in names[:most]) + rest


def grouped(keys: Iterable[str]) -> str:
    """``a.b.c, a.b.d`` -> ``a.b (2)``: the first two parts of each key, counted."""
    groups = Counter('.'.join(key.split('.')[:2]) for key in keys)
    return shown((f'{group} ({count})' for group, count in groups.items()), most=12)


def table(rows: Iterable[Sequence], columns: Sequence[str], style: str = 'pipe', left: int | None = None) -> str:
    """A table; ends with a new line.

    Args:
        rows: The cells of each row, shown as ``str`` gives them.
        columns: Their headings.
        style: One of tabulate's; ``'pipe'`` is Markdown.
        left: Number of columns aligned to the left; the others are aligned to the right. None: all to the left.
    """
    from tabulate import tabulate  # of the extras, while this module needs none
    cells = [[str(cell).replace('|', r'\|') if style == 'pipe' else str(cell) for cell in row] for row in rows]
    left = len(columns) if left is None else left
    align = ['left'] * left + ['right'] * (len(columns) - left)
    return tabulate(cells, columns, style, colalign=align if cells else None, disable_numparse=True) + '\n'


def put(page: str, name: str, text: str) -> str:
    """A page with another text between its lines ``<!-- name -->`` and ``<!-- end of name -->``.

    Args:
        page: The page.
        name: What the lines name.
        text: What is to stand between them; ends with a new line.

    Raises:
        ValueError: The page has no such lines.
    """
    begin, end = f'<!-- {name} -->\n', f'<!-- end of {name} -->'
    if not 0 <= page.find(begin) < page.find(end):
        raise ValueError(f'the page lacks the lines {begin.strip()} and {end}')
    return page[:page.index(begin) + len(begin)] + text + page[page.index(end):]
