"""The page of the table of precisions, out of its file."""
from ...utils import environment
from ...utils.text import table
from .page import failure, timed, versions, what_fails

_PROFILES = '''## Where the time goes

Milliseconds of each kind of operator, as the runtime's profiler tells, which takes time itself.

'''
_KINDS = 8  # of operators that a profile names
_HEAD = '''# Precisions{on}

Trained models exported before the post-processing in each precision, and tested on the whole test set in the file's own
runtime, by

`{command}`

on {date}: {machine}; {versions}.
*Difference*: of the file's score from the model's, in points, with its 95 % interval, a paired bootstrap over the images.
*Agreement*: of a classifier, images with the same class; of a segmentor, pixels with the same label; of a detector, the
classes of each image's 100 surest anchors. *Latency*: the median of one image on one core, the files of a model and format
in turns; *faster*: than float32 in the same runtime.
'''


def page(content: dict) -> str:
    """The page, in Markdown."""
    on = f', {instructions}' if (instructions := content['machine'].get('instructions')) else ''
    parts = [_HEAD.format(on=on, command=content['command'], date=content['date'], versions=versions(content),
                          machine=environment.line(content['machine']))]
    parts += timed(content)
    runs: dict[str, dict] = {}
    for key, cell in content['cells'].items():
        run, form, precision = key.split('/')
        runs.setdefault(run, {})[form, precision] = cell
    reasons = []
    for run, cells in runs.items():
        rows = [[form, precision, *_figures(cell, cells.get((form, 'float32'), {}), reasons)]
                for (form, precision), cell in cells.items()]
        parts.append(f'## {run}\n\n' + table(rows, [
            'format', 'precision', 'score', 'difference', 'agreement', 'MB', 'latency in ms', 'faster'], left=2))
    profiles = [f'- {key}: {_profile(cell["profile"])}' for key, cell in content['cells'].items() if cell.get('profile')]
    if profiles:
        parts.append(_PROFILES + '\n'.join(profiles) + '\n')
    if kept := [f'- {key}: {", ".join(cell["kept"])}' for key, cell in content['cells'].items() if cell.get('kept')]:
        parts.append('## Layers in float\n\n' + '\n'.join(kept) + '\n')
    return '\n'.join([*parts, *what_fails(reasons)])


def _figures(cell: dict, exact: dict, reasons: list[str]) -> list[str]:
    if 'failed' in cell:
        return [failure(cell, reasons), *['-'] * 5]
    value, low, high = cell['difference']
    agreement = '-' if cell.get('agreement') is None else f'{cell["agreement"]:.2%}'
    latency, of_exact = (each.get('latency', {}).get('median_ms') for each in (cell, exact))
    return [f'{cell["score"]:.2f}', f'{value:+.2f} [{low:+.2f}, {high:+.2f}]', agreement,
            f'{cell["bytes"] / 1e6:.2f}', f'{latency:.2f}' if latency else '-',
            f'{of_exact / latency:.2f}' if latency and of_exact else '-']


def _profile(times: dict[str, float]) -> str:
    """The most expensive kinds of operator, and the rest, with the sum."""
    most = dict(list(times.items())[:_KINDS])
    rest = sum(times.values()) - sum(most.values())
    words = [f'{kind} {each:.1f}' for kind, each in most.items()]
    return f'**{sum(times.values()):.1f}**: {", ".join([*words, f"others {rest:.1f}"])}'
