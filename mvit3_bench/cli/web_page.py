"""What ``mvit3 export --to web`` adds to the command: its flags, the page and the server."""
import argparse
from collections.abc import Mapping
from pathlib import Path

from ..errors import UsageError, user_errors
from .common import log

PORT = 8000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    page = parser.add_argument_group('a web page (--to web)')
    page.add_argument('--example', metavar='FILE', help='picture that the page begins with (default: a drawn one)')
    page.add_argument('--serve', metavar='PORT', type=int, nargs='?', const=PORT,
                      help=f'serve the page on this machine until Ctrl-C (default: port {PORT})')


def check_arguments(args: argparse.Namespace) -> None:
    """Check that the flags go together.

    Raises:
        UsageError: They do not.
    """
    if args.to == 'web' and args.raw:
        raise UsageError('--raw is not possible with --to web: a page shows what the post-processing gives', '--raw')
    if args.to == 'web' and (args.precision != 'float32' or args.sensitivity):
        raise UsageError('--precision and --sensitivity are not possible with --to web: a page runs float32', '--precision')
    for name in ('example', 'serve'):
        if args.to != 'web' and getattr(args, name) is not None:
            raise UsageError(f'--{name} is of web pages', f'--{name}', 'leave it out, or give --to web')


def write(args: argparse.Namespace, cfg: Mapping, model, size: tuple[int, int], meta: Mapping, name: str,
          origin: str) -> None:
    """Write the page, say what it holds, and serve it if that is asked for.

    Args:
        args: The command line.
        cfg: Its config.
        model, size: With its weights, and height and width of its images.
        meta: Of the data set of the test.
        name: Of the config, with the backbone.
        origin: What the weights are of.

    Raises:
        UsageError: The config has no data to test with, or as :func:`mvit3_bench.deploy.web.page.write_page`.
    """
    from ..datasets.configs import data_sets
    from ..deploy.web.page import write_page
    from ..deploy.web.server import serve
    folder = Path(args.out or f'{name}_web')
    dataset = next(iter(data_sets(cfg.get('test_dataloader')).values()), None)
    if dataset is None:
        raise UsageError('the config has no test_dataloader, whose pipeline the page repeats', 'test_dataloader')
    with user_errors(ValueError):
        done = write_page(model, size, folder, pipeline=dataset.pipeline, meta=meta, name=name, note=origin,
                          example=args.example, log=log)
    total = sum(file.stat().st_size for file in folder.rglob('*') if file.is_file())
    print(f'{folder}: {total / 1e6:.1f} MB, of which the model {done.files[0].stat().st_size / 1e6:.2f} MB')
    print('largest deviation of the model in ONNX Runtime, in standard deviations: '
          + ', '.join(f'{value:.1e} at batch {batch}' for batch, value in done.deviations.items()))
    if args.serve is None:
        print(f'to look at it here: python -m http.server {PORT} --directory {folder}')
    else:
        serve(folder, args.serve)
