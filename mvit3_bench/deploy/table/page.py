"""The page of the table of targets, out of its file."""
from ...utils import environment
from ...utils.text import table
from ..targets import TARGETS
from ..targets.base import TASKS
from .cells import MODELS, key_of

_HEAD = '''# Targets

Every model exported to every format of [deployment](../deploy.md), untrained, at the size of its test pipeline, by

`{command}`

on {date}: {machine}; {versions}. Each file was run in its own runtime and compared with the model.
A cell holds the largest deviation in standard deviations of the model's outputs, the size of the file, and the median
latency of one image on one core, where it was measured. *raw*: the format cannot hold the post-processing, and the file ends
before it. Core ML runs on Apple machines only: its models are converted, and not run here.
'''


def page(content: dict) -> str:
    """The page, in Markdown."""
    machine = environment.line(content['machine'])
    parts = [_HEAD.format(command=content['command'], date=content['date'], machine=machine, versions=versions(content))]
    parts += timed(content)
    reasons: list[str] = []
    for task in TASKS:
        rows = [[model, *(_cell(content['cells'].get(key_of(form, task, model)), reasons) for form in TARGETS)]
                for model in MODELS]
        parts.append(f'## {task.capitalize()}\n\n{table(rows, ["model", *TARGETS])}')
    return '\n'.join([*parts, *what_fails(reasons)])


def versions(content: dict) -> str:
    """The packages that a table was made with, beside those that its machine names."""
    return ', '.join(f'{package} {found}' for package, found in content['versions'].items()
                     if package not in content['machine'])


def failure(cell: dict, reasons: list[str]) -> str:
    """The text of a cell that failed; why is noted in ``reasons``, whose number it shows."""
    reason = ' '.join(cell['failed'].split())
    if reason not in reasons:
        reasons.append(reason)
    return f'no ({reasons.index(reason) + 1})'


def what_fails(reasons: list[str]) -> list[str]:
    """The section of the reasons, where there are any."""
    listed = '\n'.join(f'{number}. {reason}' for number, reason in enumerate(reasons, 1))
    return [f'## What does not work\n\n{listed}\n'] if reasons else []


def timed(content: dict) -> list[str]:
    """By what latencies were measured, as a sentence; of an older file, nothing."""
    if not (origin := content.get('timed')):
        return []
    return [f'Latencies: by `{origin["command"]}` on {origin["date"]}: {environment.line(origin["machine"])}.\n']


def _cell(cell: dict | None, reasons: list[str]) -> str:
    if cell is None:
        return 'not tried'
    if 'failed' in cell:
        return failure(cell, reasons)
    words = ['converted' if cell['deviation'] is None else f'{cell["deviation"]:.0e}', f'{cell["bytes"] / 1e6:.1f} MB']
    if 'latency' in cell:
        words.append(f'{cell["latency"]["median_ms"]:.0f} ms')
    if cell['raw']:
        words.append('raw')
    return ', '.join(words)
