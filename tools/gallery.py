"""Draw truth and predictions of several models side by side, for images of the test set."""
import argparse
from pathlib import Path

import mmcv

from mvit3_bench.analysis import gallery
from mvit3_bench.engine import cli, predict
from mvit3_bench.engine.checks import check_data


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, epilog='example: python tools/gallery.py v2_v3.png --images 3 '
        '--model configs/seg/deeplabv3_mvit2_1.0_ade20k.py work_dirs/deeplabv3_mvit2_1.0_ade20k '
        '--model configs/seg/deeplabv3_mvit3_1.0_ade20k.py work_dirs/deeplabv3_mvit3_1.0_ade20k')
    parser.add_argument('out', type=Path, metavar='PICTURE', help='picture to write')
    parser.add_argument('--model', nargs=2, action='append', required=True, metavar=('CONFIG', 'CHECKPOINT'),
                        help='a model: config file, and checkpoint file or work dir; once for each model')
    which = parser.add_mutually_exclusive_group()
    which.add_argument('--images', type=int, default=4, metavar='N',
                       help='how many images, spread over the test set (default: %(default)s)')
    which.add_argument('--indices', type=int, nargs='+', metavar='I', help='which images, by their places in the test set')
    predict.add_flags(parser)
    args = parser.parse_args()
    if args.images < 1:
        parser.error(f'--images {args.images} is not possible; allowed: numbers from 1')
    return args


def main():
    args = parse_args()
    contestants = []
    for config, checkpoint in args.model:
        cfg, predictor = predict.load(args, config, checkpoint)
        check_data(cfg, ('test_dataloader',))
        contestants.append(gallery.contestant(Path(config).stem, cfg, predictor))
    indices = args.indices or gallery.spread(args.images, len(contestants[0].dataset))
    gallery.check(contestants, indices)
    picture = gallery.draw(contestants, indices)
    mmcv.imwrite(mmcv.rgb2bgr(picture), str(args.out))
    print(f'\n{args.out}')


if __name__ == '__main__':
    cli.run(main)
