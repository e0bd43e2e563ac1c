"""Write a folder that times and checks a model on a phone, or make tables of what phones and pages measured."""
import argparse
from pathlib import Path

from ..errors import UsageError, user_errors
from .common import add_backbone, add_cfg_options, add_shape, log

EXAMPLE = 'configs/cls/mvit3_xxs_in1k.py mvit3_xxs.pth --to litert executorch --out phone'
# as mvit3_bench.deploy.kit.run.RUNNERS
TARGETS = ('litert', 'executorch', 'ncnn')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument('config', nargs='?', help='config file, or the name of a config of this package')
    parser.add_argument('checkpoint', nargs='?', help='checkpoint file; a work dir, for its best checkpoint; or "none"')
    parser.add_argument('--to', nargs='+', choices=TARGETS, default=list(TARGETS), metavar='TARGET',
                        help='of %(choices)s (default: all)')
    parser.add_argument('--out', metavar='FOLDER', help='folder to write (default: NAME_OF_CONFIG_device)')
    parser.add_argument('--read', nargs='+', metavar='FILE',
                        help='write no folder, but print tables of results.json, or of what a page saved')
    add_shape(parser)
    add_backbone(parser)
    add_cfg_options(parser)


def main(args: argparse.Namespace) -> None:
    """Run the command."""
    if args.read:
        from ..benchmark.report import markdown
        from ..deploy.kit.read import read_results
        print('\n'.join(markdown(content) for content in read_results(args.read)))
    elif args.config and args.checkpoint:
        write(args)
    else:
        raise UsageError('a config and a checkpoint are needed, or --read FILE', 'CONFIG')


def write(args: argparse.Namespace) -> None:
    """Write the folder, and say what to do with it."""
    from ..deploy.kit.write import write_kit
    from ..deploy.targets import require
    from ..engine import run_config
    with user_errors(ImportError):
        for target in args.to:
            require(target)
    cfg, model, size = run_config.model_and_size(args.config, args.backbone, args.cfg_options, args.shape)
    _, origin = run_config.load_weights(cfg, model, args.checkpoint)
    name = run_config.run_name(args.config, args.backbone)
    folder = Path(args.out or f'{name}_device')
    with user_errors(ValueError):
        kit = write_kit(model, size, args.to, folder, name=name, note=origin, log=log)
    for each in kit['models']:
        print(f'{each["name"]}: {", ".join(each["files"])}')
    print(f'{folder}: connect a phone, and run python {folder / "run.py"} --help')
