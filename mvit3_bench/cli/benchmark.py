"""Time models in each form that they can run in: latency, throughput and memory, beside other packages' same models."""
import argparse
import datetime
import functools
import itertools
import signal
from pathlib import Path

from ..engine.config_files import find_config
from ..errors import UsageError, user_errors
from .common import add_backbone, add_shape, check_least, end_interrupted, log

EXAMPLE = 'configs/cls/mvit1_s_in1k.py --peers timm mmpretrain'
PAPER = [f'cls/mvit3_{arch}_in1k' for arch in ('xxs', 'xxs_l2', 'xs', 'xs_l2', 's', 's_l2')]
SEED = 0
# those of benchmark.backends and benchmark.baselines, as a test compares
BACKENDS = ('eager', 'deploy', 'compile', 'onnxruntime', 'openvino', 'graphs', 'train')
DTYPES = ('fp32', 'fp16', 'bf16')
BASELINES = ('timm', 'mmpretrain')
# arguments that rounds have to have in common
COMPARABLE = ('configs', 'backbone', 'batch_sizes', 'modes', 'peers', 'dtypes', 'kernels', 'shape', 'quick', 'device')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument('configs', nargs='*', metavar='CONFIG', help='config files, or names of configs of this package')
    parser.add_argument('--paper', action='store_true',
                        help="the protocol of MobileViTv3's latency table: XXS, XS, S and their L2 variants, batch 1 and "
                             '100, the model as it is; other flags override parts of it')
    parser.add_argument('--batch-sizes', type=int, nargs='+', metavar='N', help='images in a call (default: 1)')
    parser.add_argument('--modes', nargs='+', choices=BACKENDS, metavar='BACKEND',
                        help='of %(choices)s (default: all that the device has)')
    parser.add_argument('--peers', nargs='+', choices=BASELINES, default=[],
                        help='baselines: packages to compare with (default: none)')
    add_backbone(parser, nargs='+')
    add_shape(parser)
    parser.add_argument('--rounds', type=int, help='blocks of calls of each case (default: 15; with --quick 5)')
    parser.add_argument('--quick', action='store_true', help='shorter blocks, and fewer: a first look')
    parser.add_argument('--threads', type=int, help='threads on the CPU (default: those that torch takes)')
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cpu', help='where to run (default: %(default)s)')
    parser.add_argument('--dtypes', nargs='+', choices=DTYPES, default=['fp32'], help='number formats (default: fp32)')
    parser.add_argument('--kernels', action='store_true',
                        help="time matrix products and convolutions alone, too: with torch's kernels no form can be faster")
    parser.add_argument('--out', type=Path, default=Path('work_dirs/benchmark'), metavar='DIR',
                        help='folder of benchmark.json, .md and .png (default: %(default)s)')


def complete(args: argparse.Namespace) -> None:
    """Check the arguments, and fill in those that were not given.

    Raises:
        UsageError: One is not possible, or a package is missing.
    """
    import torch

    from ..benchmark.backends import RUNTIMES
    from ..benchmark.baselines import require
    from ..deploy.targets import require as require_export
    from ..engine.run_config import check_device
    args.configs = args.configs or (PAPER if args.paper else [])
    args.batch_sizes = args.batch_sizes or ([1, 100] if args.paper else [1])
    args.rounds = (5 if args.quick else 15) if args.rounds is None else args.rounds
    args.threads = torch.get_num_threads() if args.threads is None else args.threads
    foreign = RUNTIMES if args.device == 'cuda' else ('graphs',)
    args.modes = args.modes or (['eager'] if args.paper else [each for each in BACKENDS if each not in foreign])
    if not args.configs:
        raise UsageError('no config given', 'CONFIG', 'allowed: one or more config files, or --paper')
    check_least('--batch-sizes', *args.batch_sizes)
    check_least('--rounds', args.rounds)
    check_least('--threads', args.threads)
    if args.shape and (min(args.shape) < 1 or len(args.shape) > 2):
        raise UsageError(f'--shape {" ".join(map(str, args.shape))} is not possible', '--shape',
                         'allowed: one or two whole numbers from 1')
    for mode in set(args.modes) & set(foreign):
        raise UsageError(f'--modes {mode} is not possible with --device {args.device}', '--modes')
    check_device(args.device)
    with user_errors(ImportError):
        for mode in set(args.modes) & set(RUNTIMES):
            require_export(mode.replace('runtime', ''))
        for peer in args.peers:
            require(peer)


def build(args: argparse.Namespace) -> tuple[dict[str, list], dict[str, float | None]]:
    """Name -> our network, then its baselines; and name -> its published top-1, if there is one."""
    from ..benchmark.models import build_models
    from ..engine.run_config import read_config, run_name, set_backbone
    from ..paper.published import published_top1
    models, published = {}, {}
    shape = (*args.shape, *args.shape)[:2] if args.shape else None
    for path, backbone in itertools.product(map(find_config, args.configs), args.backbone or [None]):
        cfg, name = read_config(path), run_name(path, backbone)
        if name in models:
            raise UsageError(f'two models are called {name}', path, 'leave one out, or give its config file another name')
        set_backbone(cfg, backbone)
        with user_errors(ValueError, KeyError, TypeError):
            models[name] = build_models(name, cfg, args.peers, shape, SEED)
        published[name] = None if backbone else published_top1(path)
        missing = set(args.peers) - {each.owner for each in models[name]}
        if missing:
            print(f'{name}: no such model in {", ".join(sorted(missing))}')
    return models, published


def measure_all(models: dict[str, list], args: argparse.Namespace, cases: list,
                skipped: list[tuple[str, str]], saved) -> None:
    """Time everything, one batch size after the other; what is measured is appended to ``cases`` and ``skipped``."""
    import torch
    from mmengine.utils import ProgressBar

    from ..benchmark import timing
    from ..benchmark.cases import Case, plan, prepare
    device, block = torch.device(args.device), timing.QUICK_BLOCK if args.quick else timing.BLOCK
    inference = [mode for mode in args.modes if mode != 'train'] + ['kernels'] * args.kernels
    training = [mode for mode in args.modes if mode == 'train']
    # Training comes last: the memory that it leaves to the process would make large maps cheap to allocate, by which it
    # halves the time of some networks; a process of inference alone has no such memory.
    for modes, batch in itertools.product(filter(None, (inference, training)), args.batch_sizes):
        part = f'{"training" if modes is training else "inference"}, batch {batch}'
        if done := saved.finished(part, args.rounds):
            cases += done[0]
            skipped += done[1]
            continue
        mine, left_out = [], []
        for networks in models.values():
            for each in prepare(networks, plan(modes, args.dtypes), batch, device, SEED, log, block):
                if isinstance(each, Case):
                    mine.append(each)
                else:
                    left_out.append(each)
                    log(f'  not run: {each[1]}')
        cases += mine
        skipped += left_out
        saved.restore(part, mine)
        todo = args.rounds - min((len(each.rounds) for each in mine), default=args.rounds)
        log(f'{part}: {len(mine)} cases, {todo} rounds')
        bar = ProgressBar(todo * len(mine))
        keep = functools.partial(saved.write, part, mine, left_out)
        timing.measure(mine, args.rounds, SEED, device, bar.update, keep)
        log('')
        for each in mine:
            each.call = None  # lets go of its memory


def main(args: argparse.Namespace) -> None:
    """Run the command."""
    import torch

    from ..benchmark import report
    from ..benchmark.backends import Skipped
    from ..benchmark.cases import Deviates
    from ..benchmark.rounds import Rounds
    from ..utils import environment
    complete(args)
    torch.set_num_threads(args.threads)
    torch.backends.cudnn.allow_tf32 = False  # fp32 means float32, in convolutions as in matrix products
    models, published = build(args)
    cases, skipped = [], []
    machine = environment.describe(torch.device(args.device))
    saved = Rounds(args.out, dict({name: getattr(args, name) for name in COMPARABLE}, machine=machine), log)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    interrupted = False
    try:
        with user_errors(Deviates, Skipped, ValueError):
            measure_all(models, args, cases, skipped, saved)
        saved.remove()
    except KeyboardInterrupt:
        interrupted = True
    if not any(each.rounds for each in cases):
        raise UsageError('nothing was measured')
    content = report.report(
        cases, skipped, published, machine, command=environment.command_line(), seed=SEED,
        date=datetime.date.today().isoformat())
    files = report.write(content, args.out)
    print(files[1].read_text(encoding='utf-8'))
    print(*files, sep='\n')
    if interrupted:
        end_interrupted('what was measured until now is written')
