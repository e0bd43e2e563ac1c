"""Export the model of a config to ONNX, OpenVINO, torch.export or a web page; it is run and compared with the model."""
import argparse
from pathlib import Path

from ..errors import ExportError, user_errors
from . import web_page
from .common import add_backbone, add_cfg_options, add_shape

EXAMPLE = 'configs/cls/mvit3_s_in1k.py mvit3_s.pth --to onnx'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument('config', help='config file, or the name of a config of this package')
    parser.add_argument('checkpoint', help='checkpoint file; a work dir, for its best checkpoint; or "none", for the '
                                           'untrained model')
    parser.add_argument('--to', choices=['onnx', 'openvino', 'torch', 'web'], required=True,
                        help='form of the exported model')
    parser.add_argument('--out', metavar='FILE', help='file to write (default: NAME_OF_CONFIG.onnx, .xml or .pt2); of a web '
                                                      'page its folder (default: NAME_OF_CONFIG_web)')
    add_shape(parser)
    parser.add_argument('--raw', action='store_true',
                        help='end before the post-processing: logits; of a detector the boxes and scores of all anchors')
    web_page.add_arguments(parser)
    add_backbone(parser)
    add_cfg_options(parser)


def main(args: argparse.Namespace) -> None:
    """Run the command."""
    from mmengine.runner import load_checkpoint

    from ..checkpoints.io import check_fits
    from ..datasets.configs import meta_of_test
    from ..deploy.export import OPSET, SUFFIXES, export, require
    from ..engine import run_config
    with user_errors(ImportError):
        require('onnx' if args.to == 'web' else args.to)
    cfg, model, size = run_config.model_and_size(args)
    meta = meta_of_test(cfg)
    if args.checkpoint != 'none':
        checkpoint = run_config.find_checkpoint(args.checkpoint)
        check_fits(model, checkpoint, classes=meta.get('classes'))
        load_checkpoint(model, checkpoint, map_location='cpu')
    name = run_config.run_name(args.config, args.backbone)
    if args.to == 'web':
        return web_page.write(args, cfg, model, size, meta, name)
    out = args.out or name + SUFFIXES[args.to]
    note = f'{name}, {Path(args.checkpoint).name}'
    with user_errors(ValueError, ExportError):
        done = export(model, size, args.to, out, raw=args.raw, note=note, log=lambda message: print(message, flush=True))

    print(*(f'{file}: {file.stat().st_size / 1e6:.2f} MB' for file in done.files), sep='\n')
    if args.to == 'onnx':
        print(f'opset {OPSET}, standard operators only')
    for title, values in (('input', done.inputs), ('output', done.outputs)):
        print(*(f'{title} {name}: {shape}' for name, shape in values.items()), sep='\n')
    print('largest deviation from the model, in standard deviations: '
          + ', '.join(f'{value:.1e} at batch {batch}' for batch, value in done.deviations.items()))
