"""Test a checkpoint with any config of the suite: classification, detection, segmentation."""
import argparse
import json
import logging
from dataclasses import replace
from pathlib import Path

from ..errors import UsageError, user_errors
from .common import RESULTS, add_run_flags, check_place, lines

# framework -> the hook of a config that names none
HOOK_OF = dict(mmpretrain='mvit3_bench.ClsVisualizationHook', mmdet='DetVisualizationHook', mmseg='SegVisualizationHook')
EXAMPLE = ('configs/seg/deeplabv3_mvit3_1.0_ade20k.py work_dirs/deeplabv3_mvit3_1.0_ade20k_mini --mini '
           '--show-dir pictures')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    add_run_flags(parser)
    parser.add_argument('checkpoint', help='checkpoint file; a work dir, for its best checkpoint; "none", for the untrained '
                                           'model; or a file of mvit3 export, which its own runtime runs on the CPU')
    parser.add_argument('--deploy', action='store_true',
                        help='test the inference copy of the model: batch norms folded into the convolutions')
    parser.add_argument('--out', metavar='DIR', help='write metrics.json there, and predictions: png of segmentation, '
                                                      'predictions.pkl of the others')
    parser.add_argument('--show', action='store_true', help='show truth and prediction in a window')
    parser.add_argument('--show-dir', metavar='DIR', help='draw truth and prediction of each image into this folder')
    parser.add_argument('--wait-time', type=float, default=2, help='seconds that --show shows a picture')
    parser.add_argument('--record', metavar='DIR', nargs='?', const=RESULTS,
                        help='add the result to a store of results (default: %(const)s)')


def evaluators_of(cfg) -> list:
    """The evaluators of the test, of which a config may name one or several."""
    found = cfg.get('test_evaluator')
    return found if isinstance(found, list) else [found]


def draw(cfg, args) -> None:
    """Let the visualisation hook draw every image."""
    from ..apis.predict import VISUALIZER_OF
    cfg.default_hooks = cfg.get('default_hooks') or {}
    hook = cfg.default_hooks.setdefault('visualization', None) or dict(type=HOOK_OF[cfg.default_scope])
    switch = 'enable' if cfg.default_scope == 'mmpretrain' else 'draw'
    hook.update({switch: True, 'interval': 1})
    for key in ('out_dir', 'test_out_dir'):  # --show-dir says where
        hook.pop(key, None)
    if args.show:
        hook.update(show=True, wait_time=args.wait_time)
    cfg.default_hooks.visualization = hook
    if cfg.get('visualizer') is None:
        cfg.visualizer = dict(type=VISUALIZER_OF[cfg.default_scope], name='visualizer')


def keep_predictions(cfg, folder: str) -> None:
    """Let the evaluator write the predictions into a folder; those of a segmentor ``OutputsHook`` writes."""
    evaluators = evaluators_of(cfg)
    if cfg.default_scope == 'mmseg':
        evaluators = [each for each in evaluators if not each.get('format_only')]
    else:
        for each in evaluators:
            if each.get('format_only'):
                each.setdefault('outfile_prefix', str(Path(folder) / 'predictions'))
        evaluators = [*evaluators, dict(type='DumpResults', out_file_path=str(Path(folder) / 'predictions.pkl'))]
    cfg.test_evaluator = evaluators


def place_records(cfg) -> None:
    """Let evaluators that write a record of each image write it into the work dir."""
    for each in evaluators_of(cfg):
        if 'out_file' in (each or ()):
            each.out_file = str(Path(cfg.work_dir) / each.out_file)


def without_truth(cfg) -> bool:
    """Whether a test set has no labels or masks. Nothing of the config that needs them is left, then.

    In classification it says ``with_label=False`` or is ImageNet's ``split='test'``; in segmentation it has no
    ``data_prefix.seg_map_path``, or the evaluator says ``format_only=True``.
    """
    from ..datasets.configs import data_sets
    from ..registry import type_name
    evaluators = evaluators_of(cfg)
    parts = [*data_sets(cfg.test_dataloader).values()]
    if cfg.default_scope == 'mmpretrain':
        found = any(part.get('with_label') is False or part.get('split') == 'test' and type_name(part).startswith('ImageNet')
                    for part in parts)
    else:
        found = cfg.default_scope == 'mmseg' and (any(each.get('format_only') for each in evaluators if each) or any(
            'data_prefix' in part and 'seg_map_path' not in part.data_prefix for part in parts))
    if not found:
        return False
    cfg.test_evaluator = []
    for part in parts if cfg.default_scope == 'mmseg' else ():
        (part.get('data_prefix') or {}).pop('seg_map_path', None)
        part.pipeline = [step for step in part.pipeline if type_name(step) != 'LoadAnnotations']
    return True


def plain(value):
    """A metric as json can hold it: numpy's and torch's numbers and arrays become Python's numbers and lists."""
    return value.tolist() if hasattr(value, 'tolist') else value


def deploy(runner) -> None:
    """Put the inference copy in the place of the model, with its weights loaded."""
    from mmengine.model import is_model_wrapper

    from ..deploy import fuse
    from ..engine.input_size import input_size_or
    runner.load_or_resume()
    size = input_size_or(runner.cfg, (64, 64))
    if is_model_wrapper(runner.model):
        runner.model.module = fuse(runner.model.module, size)
    else:
        runner.model = fuse(runner.model, size)


def use_file(runner, file: str) -> None:
    """Put an exported file in the place of the model."""
    from mmengine.model import is_model_wrapper

    from ..deploy.file_model import FileModel
    from ..engine.input_size import input_size_or
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    with user_errors(ImportError, ValueError):
        runner.model = FileModel(model.cpu(), file, input_size_or(runner.cfg, None))


def check_file(args) -> None:
    """Refuse what is for checkpoints.

    Raises:
        UsageError: A flag is given that an exported file does not go with.
    """
    for flag in ('deploy', 'record'):
        if getattr(args, flag):
            raise UsageError(f'--{flag} is for checkpoints, and {args.checkpoint} is an exported file', f'--{flag}',
                             'test the checkpoint that it was exported from')


def main(args: argparse.Namespace) -> None:
    """Run the command."""
    from mmengine.dist import is_main_process
    from mmengine.logging import print_log

    from ..checkpoints.io import check_fits
    from ..datasets.checks.data import check_data
    from ..datasets.configs import class_names
    from ..deploy.file_model import form_of
    from ..engine import run_config
    from ..engine.distributed import on_first
    from ..engine.lr_scaling import is_average
    from ..results import store as results
    from ..results.provenance import draft_result, find_provenance
    from ..visualization.pictures import OutputsHook, Pictures
    if exported := form_of(args.checkpoint):
        check_file(args)
    cfg = run_config.load_config(args)
    run_config.check_parts(cfg, ('default_scope', 'test_dataloader'))
    if (unlabelled := without_truth(cfg)) and (args.record or not (args.out or args.show or args.show_dir)):
        raise UsageError('the images of the test have no labels to score predictions by, so there is no result',
                         'test_dataloader', '--out DIR writes the predictions, --show-dir DIR draws them')
    if not unlabelled:
        run_config.check_parts(cfg, ('test_evaluator',))
    place_records(cfg)
    on_first(check_data, cfg, ('test_dataloader',))
    if args.show or args.show_dir:
        draw(cfg, args)
        if run_config.world_size(args.launcher) > 1:
            print_log('--show and --show-dir draw only the share of images that the first process tests; to draw all, test '
                      'with one process', logger='current', level=logging.WARNING)
    if args.out:
        on_first(check_place, '--out', args.out)
        keep_predictions(cfg, args.out)
    cfg.load_from = None if exported or args.checkpoint == 'none' else run_config.find_checkpoint(args.checkpoint)
    cfg.resume = False  # a resumed run dumps a config with True, by which the schedules would be restored
    if args.record:
        draft = draft_result(cfg, args.config, args.mini, find_provenance(cfg.load_from), args.backbone)
    if args.deploy or exported:  # the hook would copy the model; what a checkpoint holds are the averaged weights anyway
        cfg.custom_hooks = [hook for hook in cfg.get('custom_hooks') or [] if not is_average(hook)]
    runner = run_config.build_runner(cfg)
    runner._train_loop = None  # mmseg's hook asks for its iteration, for which all training data would be read
    pictures = Pictures(args.show_dir) if args.show_dir else None
    if pictures and not args.show:  # in place of `vis_data` within the run's folder
        runner.visualizer._vis_backends = dict(pictures=pictures)
    masks = args.out if cfg.default_scope == 'mmseg' else None
    if masks or args.show_dir or args.show:
        runner.register_hook(OutputsHook(masks, pictures))
    if cfg.load_from:
        check_fits(runner.model, cfg.load_from, classes=class_names(runner.test_dataloader.dataset))
    if args.deploy:
        deploy(runner)
    if exported:
        use_file(runner, args.checkpoint)
    metrics = {name: plain(value) for name, value in runner.test().items()}
    if not metrics and cfg.default_scope == 'mmdet' and not any(each.get('format_only') for each in evaluators_of(cfg)):
        from ..engine.metrics.coco import nothing_detected
        metrics = {f'coco/{name}': value for name, value in nothing_detected().items()}
    if not is_main_process():
        return
    if args.out:
        file = Path(args.out) / 'metrics.json'
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(metrics, indent=1, default=plain))
    numbers = [f'{name} {value:.4g}' for name, value in metrics.items() if isinstance(value, (int, float))]
    images = len(runner.test_dataloader.dataset)
    print(lines('  '.join(numbers)) or f'{images} images predicted'
          + (', without labels to score them by' if unlabelled else ''))
    if args.record:
        result = replace(draft, images=images, metrics={
            name: value for name, value in metrics.items() if results.is_number(value)})
        print(f'recorded: {results.write(args.record, result)}')
    if args.show_dir:
        drawn = sorted(pictures.files)
        print(lines(f'{len(drawn)} pictures' + (f', for instance {drawn[0]}' if drawn else f' in {args.show_dir}')))
