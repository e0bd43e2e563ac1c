"""Convert checkpoints of MobileViTv1, v2 and v3, published ones or timm's, to ours; keys and shapes tell what they are."""
import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from ..mmlab.configs import Match

EXAMPLE = 'checkpoint_ema_best.pt mvit3_s.pth'
TASKS = ('backbone', 'classification', 'detection', 'segmentation')  # those of converters.identify, as a test compares


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument('src', type=Path, help='checkpoint; nothing in it is run, and it stays as it is')
    parser.add_argument('dst', type=Path, help='file to write, not yet there; *.safetensors gets that format')
    parser.add_argument('--task', choices=['auto', *TASKS], default='auto',
                        help='refuse another one; "backbone" takes it out of any, for init_cfg (default: %(default)s)')
    parser.add_argument('--arch', metavar='ARCH', default='auto',
                        help='refuse another one; for instance mvit3_s (default: %(default)s)')
    parser.add_argument('--reverse', action='store_true', help='from our names to the published ones')


def report(recognised: 'Match') -> None:
    """Say what it is."""
    from ..utils.text import grouped
    task = f'{recognised.task} by {recognised.head}' if recognised.head else recognised.task
    classes = f', {recognised.num_classes} classes' if recognised.num_classes else ''
    print(f'recognised: {recognised.model}, {task}{classes}; names: {recognised.names}')
    if recognised.left_out:
        print(f'left out: {grouped(recognised.left_out)}')


def advise(recognised: 'Match', names: str, dst: Path) -> None:
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


def main(args: argparse.Namespace) -> None:
    """Run the command."""
    if os.path.lexists(args.dst):
        raise UsageError(f'{args.dst} exists already', args.dst, 'remove it or choose another name')
    from .. import __version__
    from ..checkpoints import to_published
    from ..checkpoints.io import check_finite, read_file, write_checkpoint
    from ..converters.extract import extract_state_dict
    from ..converters.identify import origin, to_ours
    from ..mmlab.configs import match_configs
    checkpoint = read_file(args.src)
    try:
        state_dict, entry = extract_state_dict(checkpoint)
        recognised = match_configs(state_dict, args.task, args.arch)
    except ValueError as error:
        raise CheckpointError(f'{args.src}: {error}', args.src) from error
    check_finite(args.src, state_dict)
    ours = recognised.names == 'ours'
    if args.reverse and not ours:
        raise UsageError(f'{args.src} has {recognised.names} names', args.src, '--reverse is for ours')
    if ours and not args.reverse and recognised.task != 'backbone':
        raise UsageError(f'{args.src} has our names already', args.src,
                         '--reverse gives it the published ones, --task backbone takes the backbone out')

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
