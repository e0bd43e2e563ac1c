"""List the configs of this package: published figure, parameters and multiply-adds.

A pattern is a part of the name, or has wildcards: ade20k, 'seg/*mvit3*'. Published multiply-adds stand in the papers' tables
alone; those listed are counted, as are the parameters, without what works in training only.
"""
import argparse
import csv
import fnmatch
from importlib.resources import files

from ..engine.config_files import config_files, name_of
from ..errors import UsageError

EXAMPLE = "'seg/*mvit3*ade20k'"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument('pattern', nargs='?', default='*', help='part of the name, or a pattern with * (default: all)')


def counts() -> dict[str, tuple[int, int]]:
    """Name of a config -> parameters and multiply-adds of its model, from ``paper/counts.csv``, without importing torch."""
    with (files('mvit3_bench.paper') / 'counts.csv').open(encoding='utf-8') as file:
        return {row['config'].removesuffix('.py'): (int(row['parameters']), int(row['multiply_adds']))
                for row in csv.DictReader(file) if not row['module']}


def rows(pattern: str) -> list[tuple[str, ...]]:
    """A row for each config whose name matches: name, metric, published value, parameters and multiply-adds."""
    from ..paper.published import published
    figures = {row.config.removesuffix('.py'): row for row in published()}
    measured, found = counts(), []
    for name in map(name_of, config_files()):
        if not (pattern in name or fnmatch.fnmatch(name, pattern) or fnmatch.fnmatch(name.rpartition('/')[2], pattern)):
            continue
        row, size = figures.get(name), measured.get(name)
        found.append((name, *((row.metric, f'{row.value:g}') if row else ('', '-')),
                      *((f'{size[0] / 1e6:.2f} M', f'{size[1] / 1e6:,.0f} M') if size else ('-', '-'))))
    return found


def main(args: argparse.Namespace) -> None:
    """Run the command."""
    from ..utils.text import table
    found = rows(args.pattern)
    if not found:
        raise UsageError(f'no config matches {args.pattern!r}', 'pattern', 'all of them: mvit3 configs')
    print(table(found, ('config', 'metric', 'published', 'parameters', 'multiply-adds'), 'plain', left=2), end='')
