"""Draws the miniature data sets, in the layout that the real ones have below data/."""

import argparse
import sys
from pathlib import Path

from mvit3_bench.datasets.mini import FOLDERS, MAKERS


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='example:\n  python tools/make_mini_data.py ade20k\n'
               'makes data/mini/ade/ADEChallengeData2016. A set that is already there is reused.')
    parser.add_argument('format', choices=[*MAKERS, 'all'], help='which data set')
    parser.add_argument('--root', type=Path, default=Path('data/mini'),
                        help='stands in for data/ (default: %(default)s)')
    for name, images in (('--train', 'training'), ('--val', 'validation')):
        parser.add_argument(name, type=int, default=argparse.SUPPRESS,
                            help=f'number of {images} images (default: what --mini of tools/train.py uses)')
    parser.add_argument('--seed', type=int, default=0,
                        help='other seeds draw other pictures (default: %(default)s)')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    counts = {key: value for key, value in vars(args).items() if key in ('train', 'val')}
    for name in MAKERS if args.format == 'all' else [args.format]:
        try:
            folder = MAKERS[name](args.root / FOLDERS[name], **counts, seed=args.seed)
        except (FileExistsError, ValueError) as error:
            sys.exit(f'make_mini_data: {error}')
        print(folder, (folder / 'README.txt').read_text(encoding='utf-8'), sep='\n\n')


if __name__ == '__main__':
    main()
