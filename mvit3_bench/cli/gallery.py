"""Draw truth and predictions of several models side by side, for images of the test set."""
import argparse
from pathlib import Path

from ..errors import UsageError
from .common import add_predict_flags

EXAMPLE = ('v2_v3.png --images 3 '
           '--model configs/seg/deeplabv3_mvit2_1.0_ade20k.py work_dirs/deeplabv3_mvit2_1.0_ade20k '
           '--model configs/seg/deeplabv3_mvit3_1.0_ade20k.py work_dirs/deeplabv3_mvit3_1.0_ade20k')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument('out', type=Path, metavar='PICTURE', help='picture to write')
    parser.add_argument('--model', nargs=2, action='append', required=True, metavar=('CONFIG', 'CHECKPOINT'),
                        help='a model: config file or name, and checkpoint file or work dir; once for each model')
    which = parser.add_mutually_exclusive_group()
    which.add_argument('--images', type=number_of_images, default=4, metavar='N',
                       help='how many images, spread over the test set (default: %(default)s)')
    which.add_argument('--indices', type=int, nargs='+', metavar='I', help='which images, by their places in the test set')
    add_predict_flags(parser)


def number_of_images(text: str) -> int:
    """A number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text} is not possible; allowed: numbers from 1')
    return int(text)


def main(args: argparse.Namespace) -> None:
    """Run the command."""
    import cv2
    import mmcv

    from ..apis import predict
    from ..datasets.checks.data import check_data
    from ..engine.run_config import run_name
    from ..visualization import gallery
    if not cv2.haveImageWriter(str(args.out)):
        raise UsageError(f'OpenCV writes no picture of this suffix: {args.out}', args.out, 'name it .png, .jpg or .webp')
    contestants = []
    for config, checkpoint in args.model:
        cfg, predictor = predict.load(args, config, checkpoint)
        check_data(cfg, ('test_dataloader',))
        contestants.append(gallery.contestant(run_name(config, args.backbone), cfg, predictor))
    indices = args.indices or gallery.spread(args.images, len(contestants[0].dataset))
    gallery.check(contestants, indices)
    picture = gallery.draw(contestants, indices)
    mmcv.imwrite(mmcv.rgb2bgr(picture), str(args.out))
    print(f'\n{args.out}')
