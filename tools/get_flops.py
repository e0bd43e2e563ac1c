"""Parameters and multiply-adds of the model of a config, layer by layer, as they are and as the papers count them."""
import argparse

from mvit3_bench.engine import cli
from mvit3_bench.models.complexity import Complexity, count
from mvit3_bench.models.forward import in_channels
from mvit3_bench.utils.text import table


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog='example: python tools/get_flops.py configs/cls/mvit3_s_in1k.py --depth 3')
    parser.add_argument('config', help='config file')
    cli.add_shape(parser)
    parser.add_argument('--depth', type=int, default=2, help='how deep to list the modules (default: %(default)s)')
    cli.add_cfg_options(parser)
    return parser.parse_args()


def row(name: str, counts: Complexity, note: str = '') -> tuple[str, ...]:
    """The cells of a module."""
    return name, *(f'{number / 1e6:.3f}' for number in (counts.parameters, counts.multiply_adds, counts.published)), note


def main():
    args = parse_args()
    _, model, size = cli.model_and_size(args)
    counts = count(model, size, in_channels(model))

    total = counts.pop('')
    rows = []
    for name, module in counts.items():
        level = name.count('.')
        if level < args.depth and module.parameters:
            rows.append(row(name, module, '' if module.multiply_adds or level else 'in training only'))
    rows.append(row('total', total))
    auxiliary = counts.get('auxiliary_head')
    if auxiliary:
        rows.append(row('total without auxiliary head', Complexity(
            total.parameters - auxiliary.parameters, total.multiply_adds, total.published)))
    print(f'{args.config}: one image of {size[0]}x{size[1]}, all figures in M')
    print(table(rows, ('module', 'parameters', 'multiply-adds', 'as published', ''), 'plain', left=1))


if __name__ == '__main__':
    cli.run(main)
