"""Export every model of each task to every format, run and compare: the table of targets."""
import argparse
from collections.abc import Callable
from pathlib import Path

from .common import end_interrupted
from .export import TARGETS

# as mvit3_bench.deploy.table.cells.MODELS
MODELS = ('v3-XXS', 'v3-0.5', 'v3-S', 'v3-1.0', 'v1-S', 'v2-1.0')
TASKS = ('classification', 'detection', 'segmentation')
EXAMPLE = '--to litert ncnn --models v3-XXS v3-0.5'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument('--to', nargs='+', choices=TARGETS, default=TARGETS, metavar='TARGET',
                        help=f'formats, of {", ".join(TARGETS)} (default: all)')
    parser.add_argument('--models', nargs='+', choices=MODELS, default=MODELS, metavar='MODEL',
                        help=f'models, of {", ".join(MODELS)} (default: all)')
    parser.add_argument('--tasks', nargs='+', choices=TASKS, default=TASKS, metavar='TASK',
                        help=f'tasks, of {", ".join(TASKS)} (default: all)')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/targets/targets.json'), metavar='FILE',
                        help='file of the table; cells that it has are not made again (default: %(default)s)')
    parser.add_argument('--files', type=Path, default=Path('work_dirs/targets/files'), metavar='DIR',
                        help='folder of the exported files (default: %(default)s)')
    parser.add_argument('--again', action='store_true', help='make cells that failed again')
    parser.add_argument('--latency', action='store_true',
                        help='export nothing, but time the files that were, which needs a quiet machine')
    parser.add_argument('--page', type=Path, metavar='FILE', help='write the table as a page, too')


def main(args: argparse.Namespace) -> None:
    """Run the command."""
    from ..deploy.table import cells as table
    from ..deploy.table.page import page
    from ..utils.environment import command_line
    content = table.read(args.out, command_line())
    finish(lambda: work(content, args), lambda: page(content), args)


def work(content: dict, args: argparse.Namespace) -> None:
    """Make or time the cells, one after the other."""
    from ..deploy.table import cells as table
    from ..utils.environment import command_line
    if args.latency:
        content['timed'] = table.origin(command_line())
    cells = [(form, task, model) for model in args.models for task in args.tasks for form in args.to]
    for number, (form, task, model) in enumerate(cells, 1):
        key = table.key_of(form, task, model)
        if said := (time_cell if args.latency else export_cell)(content['cells'], key, args):
            table.write(args.out, content)
            print(f'[{number}/{len(cells)}] {key}: {said}', flush=True)


def finish(work: Callable[[], None], page: Callable[[], str], args: argparse.Namespace) -> None:
    """Do the work on a table, which is kept if it is interrupted, and write the page that ``--page`` asks for."""
    try:
        work()
    except KeyboardInterrupt:
        end_interrupted('what was done until now is kept')
    if args.page:
        from ..checkpoints.atomic import write_text
        write_text(args.page, page())
        print(args.page)
    print(args.out)


def export_cell(cells: dict, key: str, args: argparse.Namespace) -> str | None:
    """Make a cell, if it is not there -> what to say about it."""
    from ..deploy.table import cells as table
    from ..deploy.targets import TARGETS
    if key in cells and not (args.again and 'failed' in cells[key]):
        return None
    form, task, model = key.split('/')
    config = table.MODELS[model][task]
    out = args.files / form / f'{config}{TARGETS[form].suffix}'
    cells[key] = cell = table.separately(table.export_cell, config, form, str(out))
    if 'failed' in cell:
        return f'failed: {cell["failed"]}'
    deviation = 'not run here' if cell['deviation'] is None else f'deviation {cell["deviation"]:.1e}'
    return f'{deviation}, {cell["bytes"] / 1e6:.1f} MB, in {cell["seconds"]:.0f} s'


def time_cell(cells: dict, key: str, args: argparse.Namespace) -> str | None:
    """Time the file of a cell, if there is one -> what to say about it."""
    from ..deploy.table import cells as table
    cell = cells.get(key, {})
    if 'files' not in cell or not Path(cell['files'][0]).exists():
        return None
    found = table.separately(table.latencies, key.split('/')[0], {key: cell['files'][0]}, cell['size'])
    if key not in found:
        return found.get('failed')
    cell['latency'] = found[key]
    return f'{found[key]["median_ms"]:.1f} ms (p90 {found[key]["p90_ms"]:.1f})'
