"""Export the model of a config for a runtime, on a computer or a phone, or for a browser; it is run and compared."""
import argparse

from ..errors import ExportError, UsageError, user_errors
from . import web_page
from .common import add_backbone, add_cfg_options, add_shape, check_least, log

# as mvit3_bench.deploy.targets.TARGETS
TARGETS = ('onnx', 'openvino', 'torch', 'litert', 'executorch', 'ncnn', 'coreml')
# as mvit3_bench.deploy.quantise.PRECISIONS
PRECISIONS = ('float32', 'float16', 'bfloat16', 'int8')
# as mvit3_bench.deploy.check.RULES
DELEGATES = ('litert-gpu', 'ncnn', 'coreml-ane', 'executorch-xnnpack')
CALIBRATION = 128  # images
SENSITIVITY_IMAGES = 16  # on which each layer is quantised alone
EXAMPLE = 'configs/cls/mvit3_s_in1k.py mvit3_s.pth --to onnx'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument('config', help='config file, or the name of a config of this package')
    parser.add_argument('checkpoint', help='checkpoint file; a work dir, for its best checkpoint; or "none", for the '
                                           'untrained model')
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument('--to', choices=[*TARGETS, 'web'], help='form of the exported model')
    action.add_argument('--check', choices=DELEGATES,
                        help='write nothing, but name what this delegate is known to refuse, with the source')
    parser.add_argument('--out', metavar='FILE', help='file to write, of a web page its folder (default: NAME_OF_CONFIG, '
                                                      'with precision and suffix of the form)')
    add_shape(parser)
    parser.add_argument('--raw', action='store_true',
                        help='end before the post-processing: logits; of a detector the boxes and scores of all anchors')
    parser.add_argument('--precision', choices=PRECISIONS, default='float32',
                        help='of the weights; int8: of weights and activations, calibrated with images of the train set '
                             '(default: %(default)s)')
    parser.add_argument('--calibration', type=int, default=CALIBRATION, metavar='N',
                        help='images to calibrate with, and as many of the test set to look at (default: %(default)s)')
    parser.add_argument('--sensitivity', type=int, default=0, metavar='N',
                        help='for int8: quantise each layer alone, and keep the N that harm most in float')
    web_page.add_arguments(parser)
    add_backbone(parser)
    add_cfg_options(parser)


def main(args: argparse.Namespace) -> None:
    """Run the command."""
    from ..datasets.configs import meta_of_classes
    from ..deploy.quantise import writer
    from ..deploy.targets import require
    from ..engine import run_config
    web_page.check_arguments(args)
    check_flags(args)
    if args.to:
        with user_errors(ImportError):
            if args.to != 'web':
                writer(args.to, args.precision, keep=args.sensitivity > 0)
            require('onnx' if args.to == 'web' else args.to)
    cfg, model, size = run_config.model_and_size(args.config, args.backbone, args.cfg_options, args.shape)
    loaded, origin = run_config.load_weights(cfg, model, args.checkpoint)
    name = run_config.run_name(args.config, args.backbone)
    if args.check:
        check_model(model, size, args)
    elif args.to == 'web':
        web_page.write(args, cfg, model, size, meta_of_classes(cfg, loaded), name, origin)
    else:
        write(cfg, model, size, name, origin, args)


def check_flags(args: argparse.Namespace) -> None:
    """Refuse flags that would do nothing.

    Raises:
        UsageError: One is given, or a number is not possible.
    """
    check_least('--calibration', args.calibration)
    check_least('--sensitivity', args.sensitivity, lowest=0)
    if args.sensitivity and args.precision != 'int8':
        raise UsageError(f'--sensitivity is of INT8, and --precision is {args.precision}', '--sensitivity',
                         'give --precision int8, too')
    if args.calibration != CALIBRATION and args.precision != 'int8':
        raise UsageError(f'--calibration is of INT8, and --precision is {args.precision}', '--calibration',
                         'give --precision int8, too')
    if args.check:
        for flag, default in (('out', None), ('precision', 'float32'), ('raw', False)):
            if getattr(args, flag) != default:
                raise UsageError(f'--{flag} is not possible with --check, which writes nothing', f'--{flag}',
                                 'leave it out, or give --to')


def check_model(model, size: tuple[int, int], args: argparse.Namespace) -> None:
    """Name what a delegate refuses.

    Raises:
        ExportError: It refuses something.
    """
    from ..deploy.check import check
    from ..deploy.export import deploy
    with user_errors(ValueError):
        deployed = deploy(model.eval(), size, raw=True, device=True)
    if refused := check(deployed, args.check):
        first, *others = map(str, refused)
        raise ExportError('\n  then '.join([f'{args.check} refuses {first}', *others]), args.check)
    print(f'{args.check}: nothing that it is known to refuse, in the form for delegates, before the post-processing')


def write(cfg, model, size: tuple[int, int], name: str, origin: str, args: argparse.Namespace) -> None:
    """Export a model, and say what was written."""
    from ..deploy.export import export, size_of
    from ..deploy.targets import TARGETS
    from ..deploy.targets.onnx import OPSET
    out = args.out or name + ('' if args.precision == 'float32' else f'_{args.precision}') + TARGETS[args.to].suffix
    with user_errors(ValueError, ImportError):
        done = export(model, size, args.to, out, raw=args.raw, note=f'{name}, {origin}', precision=args.precision,
                      calibration=calibrate(cfg, model, size, args.to, args.calibration, args.sensitivity)
                      if args.precision == 'int8' else None, log=log)

    print(*(f'{file}: {size_of(file) / 1e6:.2f} MB' for file in done.files), sep='\n')
    if args.to == 'onnx':
        print(f'opset {OPSET}, standard operators only')
    for title, values in (('input', done.inputs), ('output', done.outputs)):
        print(*(f'{title} {name}: {shape}' for name, shape in values.items()), sep='\n')
    if done.agreement is not None:
        print(f'agreement with the model on images of the test set: {done.agreement:.2%}')
    elif done.deviations:
        print('largest deviation from the model, in standard deviations: '
              + ', '.join(f'{value:.1e} at batch {batch}' for batch, value in done.deviations.items()))
    else:
        print(f'not run: the runtime of {args.to} does not run on this machine; operators in the file: '
              + ', '.join(f'{number} {name}' for name, number in done.operators.items()))


def calibrate(cfg, model, size: tuple[int, int], form: str, number: int, keep: int):
    """The images of INT8, and the layers that stay in float.

    Args:
        cfg: The config.
        model: Of it.
        size: Height and width.
        form: What it is exported to.
        number: Of images.
        keep: Number of layers.

    Raises:
        UsageError: The config has no images, or they cannot be read.
    """
    from ..deploy.export import deploy
    from ..deploy.quantise import Calibration
    from ..deploy.quantise.calibration import pipeline_images
    from ..deploy.quantise.sensitivity import sensitivity
    from ..deploy.targets import TARGETS
    images, others = (pipeline_images(cfg, f'{split}_dataloader', size, number) for split in ('train', 'test'))
    kept = ()
    if keep:
        deployed = deploy(model.eval(), size, raw=True, device=TARGETS[form].device)
        effects = sensitivity(deployed, images[:SENSITIVITY_IMAGES])
        kept = tuple(effect.layer for effect in effects[:keep])
        for effect in effects:
            print(f'{effect.layer}: agreement {effect.agreement:.2%}, noise {effect.noise:.2g} of the std'
                  + (' (stays in float)' if effect.layer in kept else ''))
    return Calibration(images, others, kept)
