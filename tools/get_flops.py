"""Parameters and multiply-adds of the model of a config, layer by layer, as they are and as the papers count them."""
import argparse

from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope

from mvit3_bench.complexity import Complexity, count, input_size
from mvit3_bench.engine import cli
from mvit3_bench.registry import MODELS


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog='example: python tools/get_flops.py configs/cls/mvit3_s_in1k.py --depth 3')
    parser.add_argument('config', help='config file')
    parser.add_argument('--shape', type=int, nargs='+', metavar='N',
                        help='height and width of the image, or one number for both (default: that of the test pipeline)')
    parser.add_argument('--depth', type=int, default=2, help='how deep to list the modules (default: %(default)s)')
    cli.add_cfg_options(parser)
    return parser.parse_args()


def row(name: str, counts: Complexity, note: str = '') -> str:
    millions = (counts.parameters, counts.multiply_adds, counts.published)
    return f'{name:34}' + ''.join(f'{number / 1e6:14.3f}' for number in millions) + note


def main():
    args = parse_args()
    cfg = cli.read_config(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    if args.shape and (len(args.shape) > 2 or min(args.shape) < 1):
        raise cli.UsageError(f'--shape {args.shape} is not possible; allowed: one or two positive numbers')
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    with cli.user_errors(ValueError, KeyError, TypeError):
        size = (*args.shape, *args.shape)[:2] if args.shape else input_size(cfg)
        model = MODELS.build(cfg.model)
    counts = count(revert_sync_batchnorm(model), size, cfg.model.backbone.get('in_channels', 3))

    total = counts.pop('')
    print(f'{args.config}: one image of {size[0]}x{size[1]}, all figures in M')
    print(f'{"module":34}{"parameters":>14}{"multiply-adds":>14}{"as published":>14}')
    for name, module in counts.items():
        level = name.count('.')
        if level < args.depth and module.parameters:
            print(row('  ' * level + name.rpartition('.')[2], module,
                      '' if module.multiply_adds or level else '   in training only'))
    print(row('total', total))
    auxiliary = counts.get('auxiliary_head')
    if auxiliary:
        print(row('total without auxiliary head', Complexity(
            total.parameters - auxiliary.parameters, total.multiply_adds, total.published)))


if __name__ == '__main__':
    cli.run(main)
