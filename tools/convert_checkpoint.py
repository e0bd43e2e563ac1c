"""Converts checkpoints of MobileViTv1, v2 and v3, published ones or timm's, to ours; keys and shapes tell what they are."""
import argparse
import os
from pathlib import Path

from mvit3_bench import __version__
from mvit3_bench.checkpoints import to_published
from mvit3_bench.checkpoints.io import CheckpointError, check_finite, read_file, write_checkpoint
from mvit3_bench.converters.extract import extract_state_dict as unwrap
from mvit3_bench.converters.identify import TASKS, origin, to_ours
from mvit3_bench.engine import cli
from mvit3_bench.mmlab.configs import Match as Recognised
from mvit3_bench.mmlab.configs import match_configs as recognise
from mvit3_bench.utils.text import grouped


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog='example: python tools/convert_checkpoint.py checkpoint_ema_best.pt mvit3_s.pth')
    parser.add_argument('src', type=Path, help='checkpoint; nothing in it is run, and it stays as it is')
    parser.add_argument('dst', type=Path, help='file to write, not yet there; *.safetensors gets that format')
    parser.add_argument('--task', choices=['auto', *TASKS], default='auto',
                        help='refuse another one; "backbone" takes it out of any, for init_cfg (default: %(default)s)')
    parser.add_argument('--arch', metavar='ARCH', default='auto',
                        help='refuse another one; for instance mvit3_s (default: %(default)s)')
    parser.add_argument('--reverse', action='store_true', help='from our names to the published ones')
    return parser.parse_args()


def report(recognised: Recognised) -> None:
    """Say what it is."""
    task = f'{recognised.task} by {recognised.head}' if recognised.head else recognised.task
    classes = f', {recognised.num_classes} classes' if recognised.num_classes else ''
    print(f'recognised: {recognised.model}, {task}{classes}; names: {recognised.names}')
    if recognised.left_out:
        print(f'left out: {grouped(recognised.left_out)}')


def advise(recognised: Recognised, names: str, dst: Path) -> None:
    """Say what to do with the file that was written."""
    family, _, arch = recognised.model.partition('_')
    if not recognised.configs:
        print(f"fits: backbone=dict(type='mvit3_bench.MobileViTv{family[-1]}', arch='{arch}', "
              f"init_cfg=dict(type='Pretrained', checkpoint={str(dst)!r}))")
    else:
        print(f'fits: {", ".join(recognised.configs)}')
        if len(recognised.configs) > 1:
            print('note: weights do not tell these apart; take the one they were trained with')
    if names == 'timm' and family == 'mvit1':
        print('note: our configs of mvit1 feed BGR, timm feeds RGB; see docs/weights.md')


def main() -> None:
    args = parse_args()
    if os.path.lexists(args.dst):
        raise cli.UsageError(f'{args.dst} exists already; remove it or choose another name')
    checkpoint = read_file(args.src)
    try:
        state_dict, entry = unwrap(checkpoint)
        recognised = recognise(state_dict, args.task, args.arch)
    except ValueError as error:
        raise CheckpointError(f'{args.src}: {error}') from error
    check_finite(args.src, state_dict)
    ours = recognised.names == 'ours'
    if args.reverse and not ours:
        raise cli.UsageError(f'{args.src} has {recognised.names} names; --reverse is for ours')
    if ours and not args.reverse and recognised.task != 'backbone':
        raise cli.UsageError(f'{args.src} has our names already; --reverse gives it the published ones, --task backbone '
                             'takes the backbone out')

    converted = to_ours(state_dict, recognised.names, recognised.task)
    if args.reverse:
        converted, meta = to_published(converted, recognised.task), None
    else:
        meta = dict(model=recognised.model, task=recognised.task, configs=list(recognised.configs),
                    names=origin(checkpoint, recognised), source=args.src.name, mvit3_bench_version=__version__)
        if recognised.dataset_meta:
            meta['dataset_meta'] = recognised.dataset_meta
    write_checkpoint(args.dst, converted, meta)
    print(f'read: {args.src}' + (f', entry {entry}' if entry else ''))
    report(recognised)
    print(f'mapped: {len(state_dict) - len(recognised.left_out)} of {len(state_dict)} tensors')
    print(f'written: {args.dst}, {len(converted)} tensors under {"published" if args.reverse else "our"} names')
    if not args.reverse:
        advise(recognised, meta['names'], args.dst)


if __name__ == '__main__':
    cli.run(main)
