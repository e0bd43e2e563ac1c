"""Plot the learning curve of a training: loss and validation metric over the epochs, from the log in its work dir."""
import argparse
from pathlib import Path

from ..errors import UsageError
from ..results.curves import read

EXAMPLE = 'work_dirs/deeplabv3_mvit3_xxs_camvid curve.png'
METRICS = ('mIoU', 'coco/bbox_mAP', 'accuracy/top1')  # what our configs choose their best checkpoint by


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument('work_dir', type=Path, help='work dir of the training; all its runs are joined')
    parser.add_argument('out', type=Path, help='picture to write: png, pdf or svg')
    parser.add_argument('--metric',
                        help=f'validation metric, as in the log (default: the first it has of {", ".join(METRICS)})')
    parser.add_argument('--loss', default='loss', help='training loss, as in the log (default: %(default)s)')


def main(args: argparse.Namespace) -> None:
    """Run the command."""
    import matplotlib
    matplotlib.use('Agg')
    import matplotlib.pyplot as plt
    metrics = [args.metric] if args.metric else [metric for metric in METRICS if read(args.work_dir, metric)] or METRICS
    figure, axis = plt.subplots(figsize=(7, 4), layout='constrained')
    if args.out.suffix.lower().lstrip('.') not in figure.canvas.get_supported_filetypes():
        raise UsageError(f'{args.out} is no picture that can be written', args.out, 'name it .png, .pdf or .svg')
    curves = [(axis, args.loss, 'tab:blue'), (axis.twinx(), metrics[0], 'tab:orange')]
    for axes, key, colour in curves:
        points = read(args.work_dir, key)
        if not points:
            raise UsageError(f'no {key!r} in {args.work_dir}/*/vis_data/scalars.json', args.work_dir)
        axes.plot(*zip(*points, strict=True), '.-', color=colour)
        axes.set_ylabel(key, color=colour)
    axis.set_xlabel('epoch' if read(args.work_dir, 'epoch') else 'iteration')
    axis.grid(alpha=0.3)
    axis.set_title(args.work_dir.name)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.out, dpi=110)
    print(args.out)
