"""Export the model of a config to ONNX, OpenVINO or torch.export; the file is run and compared with the model."""
import argparse
from pathlib import Path

from mmengine.runner import load_checkpoint

from mvit3_bench.checkpoints.io import check_fits
from mvit3_bench.deploy.export import OPSET, SUFFIXES, ExportError, export, require
from mvit3_bench.engine import cli


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog='example: python tools/export.py configs/cls/mvit3_s_in1k.py mvit3_s.pth --to onnx')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file; a work dir, for its best checkpoint; or "none", for the '
                                           'untrained model')
    parser.add_argument('--to', choices=SUFFIXES, required=True, help='form of the exported model')
    parser.add_argument('--out', metavar='FILE', help='file to write (default: NAME_OF_CONFIG.onnx, .xml or .pt2)')
    cli.add_shape(parser)
    parser.add_argument('--raw', action='store_true',
                        help='end before the post-processing: logits; of a detector the boxes and scores of all anchors')
    cli.add_cfg_options(parser)
    return parser.parse_args()


def main():
    args = parse_args()
    with cli.user_errors(ImportError):
        require(args.to)
    _, model, size = cli.model_and_size(args)
    if args.checkpoint != 'none':
        checkpoint = cli.find_checkpoint(args.checkpoint)
        check_fits(model, checkpoint)
        load_checkpoint(model, checkpoint, map_location='cpu')
    out = args.out or Path(args.config).stem + SUFFIXES[args.to]
    note = f'{Path(args.config).name}, {Path(args.checkpoint).name}'
    with cli.user_errors(ValueError, ExportError):
        done = export(model, size, args.to, out, raw=args.raw, note=note, say=lambda message: print(message, flush=True))

    print(*(f'{file}: {file.stat().st_size / 1e6:.2f} MB' for file in done.files), sep='\n')
    if args.to == 'onnx':
        print(f'opset {OPSET}, standard operators only')
    for title, values in (('input', done.inputs), ('output', done.outputs)):
        print(*(f'{title} {name}: {shape}' for name, shape in values.items()), sep='\n')
    print('largest deviation from the model, in standard deviations: '
          + ', '.join(f'{value:.1e} at batch {batch}' for batch, value in done.deviations.items()))


if __name__ == '__main__':
    cli.run(main)
