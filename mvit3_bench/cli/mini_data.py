"""Draw the miniature data sets, in the layout that the real ones have below data/."""
import argparse
from pathlib import Path

from ..errors import user_errors

EXAMPLE = 'ade20k'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument('format', choices=['ade20k', 'coco', 'imagenet', 'voc2012', 'all'], help='which data set')
    parser.add_argument('--root', type=Path, default=Path('data/mini'),
                        help='stands in for data/ (default: %(default)s)')
    for name, images in (('--train', 'training'), ('--val', 'validation')):
        parser.add_argument(name, type=int, default=argparse.SUPPRESS,
                            help=f'number of {images} images (default: what --mini of the training uses)')
    parser.add_argument('--seed', type=int, default=0,
                        help='other seeds draw other pictures (default: %(default)s)')


def main(args: argparse.Namespace) -> None:
    """Run the command."""
    from ..datasets.mini import FOLDERS, MAKERS
    counts = {key: value for key, value in vars(args).items() if key in ('train', 'val')}
    for name in MAKERS if args.format == 'all' else [args.format]:
        with user_errors(FileExistsError, ValueError):
            folder = MAKERS[name](args.root / FOLDERS[name], **counts, seed=args.seed)
        print(folder, (folder / 'README.txt').read_text(encoding='utf-8'), sep='\n\n')
