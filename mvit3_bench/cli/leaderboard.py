"""Measure light backbones under one protocol: alone in three runtimes, and with heads for detection and segmentation."""
import argparse
import time
from pathlib import Path

from ..errors import user_errors
from .common import check_least, end_interrupted

EXAMPLE = '--models mvit3_s timm/repvit_m0_9 --out leaderboard.json'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument('--models', nargs='+', metavar='NAME',
                        help='timm/NAME, torchvision/NAME, or archs of ours such as mvit3_s (default: all that are listed)')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/leaderboard/leaderboard.json'), metavar='FILE',
                        help='file of the figures; what it has already is not measured again (default: %(default)s)')
    parser.add_argument('--cache', type=Path, default=Path('work_dirs/leaderboard'), metavar='DIR',
                        help='folder of ONNX files and compiled kernels (default: %(default)s)')
    parser.add_argument('--prepare', action='store_true',
                        help='export and compile only, which needs no quiet machine, for a later run that measures')
    parser.add_argument('--rounds', type=int, default=7, help='blocks of calls of each model (default: %(default)s)')
    parser.add_argument('--threads', type=int, help='threads (default: those that torch takes)')


def complete(args: argparse.Namespace) -> dict[str, int]:
    """Check the arguments, and fill in those that were not given -> name -> side of the images.

    Raises:
        UsageError: One is not possible, there is no such model, or a package is missing.
    """
    import torch

    from ..deploy.targets import require
    from ..leaderboard import networks
    from ..mmlab.backbone_names import plain_name
    args.threads = torch.get_num_threads() if args.threads is None else args.threads
    check_least('--rounds', args.rounds)
    check_least('--threads', args.threads)
    torch.set_num_threads(args.threads)
    with user_errors(ImportError):
        require('onnx')
        require('openvino')
    networks.side(networks.ANCHOR)
    return {name: networks.side(name) for name in dict.fromkeys(map(plain_name, args.models or networks.listed()))}


def prepare_all(sizes: dict[str, int], cache) -> None:
    """Export and compile; a line a model."""
    from ..leaderboard.prepared import prepare
    for number, (name, size) in enumerate(sizes.items(), 1):
        start = time.perf_counter()
        skipped = prepare(cache, name, size)
        print(f'[{number}/{len(sizes)}] {name} at {size}: {time.perf_counter() - start:.0f} s', flush=True)
        for part, why in skipped.items():
            print(f'  {part} left out: {why}', flush=True)


def measure_all(sizes: dict[str, int], cache, args: argparse.Namespace) -> None:
    """Measure what the file does not have, and write it after each model; a line a model."""
    from ..leaderboard import record
    from ..leaderboard.measure import Measurer
    from ..utils import environment
    content = record.continued(args.out, record.new(
        args.rounds, command=environment.command_line(), date=time.strftime('%Y-%m-%d')))
    measurer = Measurer(cache, args.rounds)
    for number, (name, size) in enumerate(sizes.items(), 1):
        if name not in content['models']:
            content['models'][name] = measurer.measure(name, size)
            record.write(args.out, content)
            print(f'[{number}/{len(sizes)}] {name} at {size}: {described(content["models"][name])}', flush=True)


def described(entry: dict) -> str:
    """The latencies of a model, and what was left out."""
    cells = [f'{backend} ' + ' / '.join(f'{cell["median_ms"]:.1f}' for cell in batches.values())
             for backend, batches in entry['cells'].items()]
    skipped = [f'\n  {backend} left out: {why}' for backend, why in entry['skipped'].items()]
    return f'{", ".join(cells) or "nothing"} (ms), in {entry["seconds"]:.0f} s' + ''.join(skipped)


def main(args: argparse.Namespace) -> None:
    """Run the command."""
    sizes = complete(args)
    from ..leaderboard.prepared import Cache
    cache = Cache(args.cache)
    try:
        if args.prepare:
            prepare_all(sizes, cache)
        else:
            measure_all(sizes, cache, args)
            print(args.out)
    except KeyboardInterrupt:
        end_interrupted('what was done until now is kept')
