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
    parser.add_argument('--to', choices=['file', 'hub'], default='file',
                        help='hub: DST is a folder as on the Hugging Face hub, config.json and model.safetensors, which '
                             'timm.create_model("local-dir:DST") loads (default: %(default)s)')
    parser.add_argument('--task', choices=['auto', *TASKS], default='auto',
                        help='refuse another one; "backbone" takes it out of any, for init_cfg (default: %(default)s)')
    parser.add_argument('--arch', metavar='ARCH', default='auto',
                        help='refuse another one; for instance mvit3_s (default: %(default)s)')
    parser.add_argument('--channel-order', choices=['trained', 'rgb'], default='trained',
                        help='rgb: for timm, torchvision, Ultralytics and torch.hub, which feed RGB: turns the first '
                             'convolution of the v1 type round, which was trained on BGR (default: %(default)s)')
    parser.add_argument('--reverse', action='store_true', help='from our names to the published ones')


def report(identified: 'Match') -> None:
    """Say what it is."""
    from ..utils.text import grouped
    task = f'{identified.task} by {identified.head}' if identified.head else identified.task
    classes = f', {identified.num_classes} classes' if identified.num_classes else ''
    print(f'identified: {identified.model}, {task}{classes}; names: {identified.names}')
    if identified.left_out:
        print(f'left out: {grouped(identified.left_out)}')


def advise(identified: 'Match', rgb: bool, dst: Path) -> None:
    """Say what to do with the file that was written; with ``rgb``, that its colours are in another order."""
    family, _, arch = identified.model.partition('_')
    if not identified.configs:
        print(f"fits: backbone=dict(type='mvit3_bench.MobileViTv{family[-1]}', arch='{arch}', "
              f"init_cfg=dict(type='Pretrained', checkpoint={str(dst)!r}))")
    else:
        print(f'fits: {", ".join(identified.configs)}')
        if len(identified.configs) > 1:
            print('note: weights do not tell these apart; take the one they were trained with')
    if rgb:
        print(f'note: these weights take RGB, our configs of {identified.model} feed BGR; see docs/weights.md')


def takes_bgr(identified: 'Match', checkpoint: dict) -> bool:
    """Whether weights take BGR: those of the v1 type, but other packages' and those that were turned round before."""
    from ..converters.identify import takes_rgb
    from ..models.archs import get_arch
    return get_arch(identified.family, identified.arch).channel_order == 'bgr' and not takes_rgb(checkpoint, identified)


def elsewhere(args: argparse.Namespace) -> bool:
    """Whether the weights are for timm, torchvision or Ultralytics, which feed RGB."""
    return args.to == 'hub' or args.channel_order == 'rgb'


def check_flags(args: argparse.Namespace, identified: 'Match', checkpoint: dict) -> None:
    """Refuse what the flags cannot make of these weights.

    Raises:
        UsageError: The message names the flag or the file.
    """
    ours = identified.names == 'ours'
    if args.reverse and not ours:
        raise UsageError(f'{args.src} has {identified.names} names', args.src, '--reverse is for ours')
    if args.reverse and elsewhere(args):
        raise UsageError('--reverse excludes --to hub and --channel-order rgb', '--reverse')
    if args.reverse and checkpoint.get('meta', {}).get('channel_order') == 'rgb':
        raise UsageError(f'{args.src} was turned round to take RGB, published weights take BGR', args.src,
                         'take the file that it was made from')
    if args.to == 'hub' and identified.task != 'classification':
        raise UsageError(f'--to hub is for classifiers, {args.src} is for {identified.task}', args.src)
    if ours and not args.reverse and identified.task != 'backbone' and not elsewhere(args):
        raise UsageError(f'{args.src} has our names already', args.src,
                         '--reverse gives it the published ones, --task backbone takes the backbone out')


def write_for_hub(folder: Path, identified: 'Match', state_dict: dict, meta: dict) -> None:
    """Write a classifier as on the Hugging Face hub, with the names of its classes, if its checkpoint has them.

    Raises:
        UsageError: timm is not installed, or has no model of this name.
    """
    try:
        from ..integrations.timm import NAMES, save_for_hub
    except ImportError as error:
        raise UsageError('--to hub needs timm', fix="pip install 'timm>=1.0'") from error
    names = {f'mvit3_{arch}': name for name, arch in NAMES.items()}
    if identified.model not in names:
        raise UsageError(f'{identified.model} has no name in timm', fix=f'known: {", ".join(names)}')
    classes = (meta.get('dataset_meta') or {}).get('classes') or ()
    save_for_hub(folder, names[identified.model], state_dict, classes if len(classes) == identified.num_classes else ())


def main(args: argparse.Namespace) -> None:
    """Run the command."""
    if os.path.lexists(args.dst):
        raise UsageError(f'{args.dst} exists already', args.dst, 'remove it or choose another name')
    from ..checkpoints import to_published
    from ..checkpoints.io import check_finite, read_file, write_checkpoint
    from ..converters import to_rgb
    from ..converters.extract import extract_state_dict
    from ..converters.identify import takes_rgb, to_ours
    from ..mmlab.configs import match_configs, meta_of
    checkpoint = read_file(args.src)
    try:
        state_dict, entry = extract_state_dict(checkpoint)
        identified = match_configs(state_dict, args.task, args.arch)
    except ValueError as error:
        raise CheckpointError(f'{args.src}: {error}', args.src) from error
    check_finite(args.src, state_dict)
    check_flags(args, identified, checkpoint)

    converted = to_ours(state_dict, identified.names, identified.task)
    if args.reverse:
        converted, meta = to_published(converted, identified.task), None
    else:
        meta = meta_of(checkpoint, identified, args.src.name)
    if elsewhere(args) and takes_bgr(identified, checkpoint):
        converted = to_rgb(converted)
        meta['channel_order'] = 'rgb'
    if args.to == 'hub':
        write_for_hub(args.dst, identified, converted, meta)
    else:
        write_checkpoint(args.dst, converted, meta)
    print(f'read: {args.src}' + (f', entry {entry}' if entry else ''))
    report(identified)
    print(f'mapped: {len(state_dict) - len(identified.left_out)} of {len(state_dict)} tensors')
    print(f'written: {args.dst}, {len(converted)} tensors under {"published" if args.reverse else "our"} names')
    if args.to == 'hub':
        print(f"load: import mvit3_bench.integrations; timm.create_model('local-dir:{args.dst}', pretrained=True)")
    elif elsewhere(args):
        print('takes RGB: for checkpoint_path= of timm, weights= of torchvision and torch.hub; see docs/ecosystems.md')
    elif not args.reverse:
        advise(identified, takes_rgb(checkpoint, identified), args.dst)
