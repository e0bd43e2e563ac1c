"""Count parameters and multiply-adds of a config's model: layer by layer, as they are and as the papers count them."""
import argparse

from .common import add_backbone, add_cfg_options, add_shape

EXAMPLE = 'configs/cls/mvit3_s_in1k.py --depth 3'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument('config', help='config file, or the name of a config of this package')
    add_shape(parser)
    parser.add_argument('--depth', type=int, default=2, help='how deep to list the modules (default: %(default)s)')
    add_backbone(parser)
    add_cfg_options(parser)


def row(name: str, counts, note: str = '') -> tuple[str, ...]:
    """The cells of a module."""
    return name, *(f'{number / 1e6:.3f}' for number in (counts.parameters, counts.multiply_adds, counts.published)), note


def main(args: argparse.Namespace) -> None:
    """Run the command."""
    from ..engine import run_config
    from ..models.complexity import at_inference, count
    from ..models.forward import in_channels
    from ..utils.text import table
    _, model, size = run_config.model_and_size(args.config, args.backbone, args.cfg_options, args.shape)
    counts = count(model, size, in_channels(model))

    rows = []
    for name, module in counts.items():
        level = name.count('.')
        if name and level < args.depth and module.parameters:
            rows.append(row(name, module, '' if module.multiply_adds or level else 'in training only'))
    rows.append(row('total', counts['']))
    if 'auxiliary_head' in counts:
        rows.append(row('total without auxiliary head', at_inference(counts)))
    name = args.config + (f' with {args.backbone}' if args.backbone else '')
    print(f'{name}: one image of {size[0]}x{size[1]}, all figures in M')
    print(table(rows, ('module', 'parameters', 'multiply-adds', 'as published', ''), 'plain', left=1))
