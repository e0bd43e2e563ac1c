"""Train any config of the suite: classification, detection, segmentation."""
import argparse
import logging

from ..errors import UsageError, user_errors
from .common import add_run_flags

EXAMPLE = 'configs/seg/deeplabv3_mvit3_1.0_ade20k.py --mini'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    add_run_flags(parser)
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


def main(args: argparse.Namespace) -> None:
    """Run the command."""
    from mmengine.device import get_device
    from mmengine.logging import print_log

    from ..checkpoints.io import check_fits
    from ..datasets.checks.data import check_data, check_last_batch
    from ..datasets.configs import class_names
    from ..engine import lr_scaling as schedule
    from ..engine import run_config
    from ..engine.distributed import on_first
    from ..engine.hooks.preemption import end_together
    from ..engine.randomness import set_randomness
    from ..utils.memory import keep_freed_memory
    keep_freed_memory()
    cfg = run_config.load_config(args)
    on_first(check_data, cfg, ('train_dataloader', 'val_dataloader'))
    if args.amp:
        if get_device() == 'cpu':
            raise UsageError('--amp needs a GPU, and none is found', '--amp', 'leave it out')
        cfg.optim_wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic')
    processes = run_config.world_size(args.launcher)
    with user_errors(ValueError):
        set_randomness(cfg, args.seed, args.deterministic)
        if args.accumulate:
            schedule.accumulate(cfg, args.accumulate, processes)
        if args.auto_scale_lr or (args.accumulate and (cfg.get('auto_scale_lr') or {}).get('enable')):
            schedule.scale_lr(cfg)
    if cfg.get('resume') and not args.resume:  # OpenMMLab's way to say it
        args.resume = cfg.get('load_from') or 'auto'
        print_log(f'the config says resume=True: as with --resume {args.resume}', logger='current')
    if args.resume and args.resume != 'auto':
        cfg.resume, cfg.load_from = True, run_config.local_file(args.resume)
    elif args.resume and (latest := run_config.latest_checkpoint(cfg.work_dir)):
        cfg.resume, cfg.load_from = True, latest
    elif args.resume:
        print_log(f'--resume: no checkpoint in {cfg.work_dir} yet, a new run begins', logger='current',
                  level=logging.WARNING)
        args.resume, cfg.resume = None, False
    if not args.resume:
        if cfg.get('load_from'):
            cfg.load_from = run_config.local_file(cfg.load_from)
        on_first(run_config.check_work_dir, cfg)
    runner = run_config.build_runner(cfg)
    if warning := schedule.check_batch(cfg, processes):
        print_log(warning, logger='current', level=logging.WARNING)
    if checkpoint := cfg.load_from:
        check_fits(runner.model, checkpoint, any_head=not args.resume, resume=bool(args.resume),
                   classes=class_names(runner.train_dataloader.dataset))
    check_last_batch(cfg, runner.model, runner.train_dataloader)
    average = schedule.check_average(cfg, runner.max_iters)
    for warning in (*schedule.check_schedule(cfg, runner.max_iters), *filter(None, [average])):
        print_log(': consider '.join(warning), logger='current', level=logging.WARNING)
    runner.train()
    end_together()
