"""Train any config of the suite: classification, detection, segmentation."""
import logging

from mmengine.device import get_device
from mmengine.logging import print_log
from mmengine.runner import find_latest_checkpoint

from mvit3_bench.checkpoints.io import check_fits
from mvit3_bench.engine import cli, schedule
from mvit3_bench.engine.checks import check_data, check_last_batch
from mvit3_bench.engine.randomness import set_randomness
from mvit3_bench.engine.stop_hook import end_together


def parse_args():
    parser = cli.parser(__doc__, 'python tools/train.py configs/seg/deeplabv3_mvit3_1.0_ade20k.py --mini')
    parser.add_argument('--resume', nargs='?', const='auto', metavar='CHECKPOINT',
                        help='go on from this checkpoint; without a file, from the latest in the work dir')
    parser.add_argument('--amp', action='store_true', help='automatic mixed precision')
    parser.add_argument('--auto-scale-lr', action='store_true',
                        help="scale the learning rate by the effective batch over the recipe's")
    parser.add_argument('--accumulate', metavar='N',
                        help="accumulate gradients over N iterations; 'auto': as many as make the recipe's batch")
    parser.add_argument('--seed', type=int, metavar='N',
                        help='seed of weights, order and augmentation (default: drawn, and logged)')
    parser.add_argument('--deterministic', action='store_true',
                        help='let torch use deterministic algorithms only: with --seed, a run can be repeated to the bit')
    return parser.parse_args()


def main():
    args = parse_args()
    cfg = cli.load_config(args)
    check_data(cfg, ('train_dataloader', 'val_dataloader'))
    if args.amp:
        if get_device() == 'cpu':
            raise cli.UsageError('--amp needs a GPU, and none is found; leave it out')
        cfg.optim_wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic')
    processes = cli.world_size(args.launcher)
    with cli.user_errors(ValueError):
        set_randomness(cfg, args.seed, args.deterministic)
        if args.accumulate:
            schedule.accumulate(cfg, args.accumulate, processes)
        if args.auto_scale_lr:
            schedule.scale_lr(cfg)
    if args.resume:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
    runner = cli.build_runner(cfg)
    if warning := schedule.check_batch(cfg, processes):
        print_log(warning, logger='current', level=logging.WARNING)
    if checkpoint := cfg.load_from or args.resume and find_latest_checkpoint(cfg.work_dir):
        check_fits(runner.model, checkpoint, any_head=not args.resume, resume=bool(args.resume))
    check_last_batch(cfg, runner.model, runner.train_dataloader)
    if warning := schedule.check_average(cfg, runner.max_iters):
        print_log(': consider '.join(warning), logger='current', level=logging.WARNING)
    runner.train()
    end_together()


if __name__ == '__main__':
    cli.run(main)
