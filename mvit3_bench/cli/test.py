"""Test a checkpoint with any config of the suite: classification, detection, segmentation."""
import argparse
import json
import logging
from pathlib import Path

from ..errors import ResultError, user_errors
from .common import RESULTS, add_run_flags

EXAMPLE = ('configs/seg/deeplabv3_mvit3_1.0_ade20k.py work_dirs/deeplabv3_mvit3_1.0_ade20k_mini --mini '
           '--show-dir pictures')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    add_run_flags(parser)
    parser.add_argument('checkpoint', help='checkpoint file; a work dir, for its best checkpoint; or "none", for the '
                                           'untrained model')
    parser.add_argument('--deploy', action='store_true',
                        help='test the inference copy of the model: batch norms folded into the convolutions')
    parser.add_argument('--out', metavar='DIR', help='write metrics.json there, and predictions: png of segmentation, '
                                                      'predictions.pkl of the others')
    parser.add_argument('--show', action='store_true', help='show truth and prediction in a window')
    parser.add_argument('--show-dir', metavar='DIR', help='draw truth and prediction of each image into this folder')
    parser.add_argument('--wait-time', type=float, default=2, help='seconds that --show shows a picture')
    parser.add_argument('--record', metavar='DIR', nargs='?', const=RESULTS,
                        help='add the result to a store of results (default: %(const)s)')


def draw(cfg, args) -> None:
    """Let the visualisation hook draw every image."""
    hook = cfg.default_hooks.visualization
    switch = 'enable' if cfg.default_scope == 'mmpretrain' else 'draw'
    hook.update({switch: True, 'interval': 1})
    if args.show:
        hook.update(show=True, wait_time=args.wait_time)
    if args.show_dir:
        # MMEngine draws into a folder `vis_data` within the run's; another backend draws where the user says
        cfg.visualizer.vis_backends = [dict(type='LocalVisBackend', save_dir=args.show_dir, img_save_dir='.')]


def keep_predictions(cfg, folder: str) -> None:
    """Let the evaluator write the predictions into a folder."""
    evaluators = cfg.test_evaluator if isinstance(cfg.test_evaluator, list) else [cfg.test_evaluator]
    if cfg.default_scope == 'mmseg':
        Path(folder).mkdir(parents=True, exist_ok=True)  # mmseg lets only the first process do it, and none wait for it
        evaluators[0].output_dir = folder
    else:
        evaluators = [*evaluators, dict(type='DumpResults', out_file_path=str(Path(folder) / 'predictions.pkl'))]
    cfg.test_evaluator = evaluators


def plain(value):
    """A metric as json can hold it: numpy's and torch's numbers and arrays become Python's numbers and lists."""
    return value.tolist() if hasattr(value, 'tolist') else value


def deploy(runner) -> None:
    """Put the inference copy in the place of the model, with its weights loaded."""
    from mmengine.model import is_model_wrapper

    from ..deploy import fuse
    runner.load_or_resume()
    if is_model_wrapper(runner.model):
        runner.model.module = fuse(runner.model.module)
    else:
        runner.model = fuse(runner.model)


def main(args: argparse.Namespace) -> None:
    """Run the command."""
    from mmengine.dist import is_main_process
    from mmengine.logging import print_log

    from ..checkpoints.io import check_fits
    from ..datasets.checks.data import check_data
    from ..engine import run_config
    from ..engine.lr_scaling import is_average
    from ..results import store as results
    from ..results.provenance import find_provenance, make_result
    cfg = run_config.load_config(args)
    check_data(cfg, ('test_dataloader',))
    if args.show or args.show_dir:
        draw(cfg, args)
        if run_config.world_size(args.launcher) > 1:
            print_log('--show and --show-dir draw only the share of images that the first process tests; to draw all, test '
                      'with one process', logger='current', level=logging.WARNING)
    if args.out:
        keep_predictions(cfg, args.out)
    cfg.load_from = None if args.checkpoint == 'none' else run_config.find_checkpoint(args.checkpoint)
    if args.record:
        with user_errors(ResultError):
            provenance = find_provenance(cfg.load_from)
    if args.deploy:  # the hook would copy the model unfused; what a checkpoint holds are the averaged weights anyway
        cfg.custom_hooks = [hook for hook in cfg.get('custom_hooks', []) if not is_average(hook)]
    runner = run_config.build_runner(cfg)
    if cfg.load_from:
        check_fits(runner.model, cfg.load_from,
                   classes=getattr(runner.test_dataloader.dataset, 'metainfo', {}).get('classes'))
    if args.deploy:
        deploy(runner)
    metrics = {name: plain(value) for name, value in runner.test().items()}
    if not is_main_process():
        return
    if args.out:
        file = Path(args.out) / 'metrics.json'
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(metrics, indent=1, default=plain))
    print('  '.join(f'{name} {value:.4g}' for name, value in metrics.items() if isinstance(value, (int, float))))
    if args.record:
        with user_errors(ResultError):
            result = make_result(runner, args.config, args.mini, metrics, provenance)
            print(f'recorded: {results.write(args.record, result)}')
    if args.show_dir:
        pictures = sorted(Path(args.show_dir).glob('*.png'))
        print(f'{len(pictures)} pictures' + (f', for instance {pictures[0]}' if pictures else f' in {args.show_dir}'))
