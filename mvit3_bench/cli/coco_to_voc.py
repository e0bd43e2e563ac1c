"""Turn COCO into more training images for VOC2012: a folder in its layout with the extra annotations and COCO's."""
import argparse
from pathlib import Path

from ..errors import user_errors

EXAMPLE = """
  mvit3 train deeplabv3_mvit3_s_voc2012 --cfg-options \\
      train_dataloader.dataset.datasets.1.data_root=data/VOCdevkit/VOC2012_COCO"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    for name, default, meaning in (
            ('--coco', 'data/coco', 'COCO 2017'),
            ('--voc', 'data/VOCdevkit/VOC2012', 'VOC2012, with the extra annotations in SegmentationClassAug and aug.txt'),
            ('--out', 'data/VOCdevkit/VOC2012_COCO', 'folder to make; what is there of it already stays')):
        parser.add_argument(name, type=Path, default=Path(default), help=f'{meaning} (default: %(default)s)')
    parser.add_argument('--split', default='train2017', help="COCO's split (default: %(default)s)")
    parser.add_argument('--min-pixels', type=int, default=1000,
                        help='leave out images where fewer pixels belong to classes of VOC (default: %(default)s)')


def main(args: argparse.Namespace) -> None:
    """Run the command."""
    from ..datasets.coco_to_voc import convert
    with user_errors(ValueError):
        extra, taken, left_out = convert(args.coco, args.voc, args.out, args.split, args.min_pixels)
    print(f'{args.out}: {extra} images of VOC, {taken} of COCO; {left_out} left out with less than {args.min_pixels} '
          'pixels of VOC\'s classes')
