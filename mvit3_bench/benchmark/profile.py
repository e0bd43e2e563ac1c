"""Where the time of a call goes: milliseconds of each kind of operator, of a model and of the same one of other packages.

    python -m mvit3_bench.benchmark.profile cls/mvit1_s_in1k --modes train compile --peers timm
"""
import argparse
import tempfile
from collections import Counter
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity

from ..deploy.table.profile import PROFILERS
from ..engine.config_files import find_config
from ..engine.run_config import read_config, run_name, set_backbone
from ..utils.environment import describe, line
from ..utils.memory import keep_freed_memory
from ..utils.text import table
from .backends import BACKENDS, RUNTIMES, to_onnx
from .baselines import BASELINES
from .cases import baseline_backend
from .models import TimedModel, build_models

# kind -> what names of its operators hold, in torch and in the runtimes; the first that fits
KINDS = dict(
    fused=('cpp_fused', 'triton', 'subgraph'), optimiser=('_fused_', '_foreach_', 'optimizer'), convolution=('conv',),
    attention=('attention', 'softmax'), norm=('norm', 'mvn'), activation=('silu', 'relu', 'swish', 'sigmoid', 'gelu'),
    product=('mm', 'linear', 'matmul', 'gemm', 'fullyconnected'),
    copy=('copy', 'clone', 'contiguous', 'cat', 'fill', 'zero', 'empty', 'transpose', 'reorder', 'reshape', 'slice'))
CALLS = 3  # behind two that warm up
SEED = 0


def kind_of(operator: str) -> str:
    """The kind of an operator."""
    return next((kind for kind, parts in KINDS.items() if any(part in operator.lower() for part in parts)), 'others')


def times(model: TimedModel, mode: str, batch: int) -> Counter:
    """Milliseconds of each kind of operator in a call, on the CPU; in a runtime on one core, by its own profiler."""
    images, found = torch.rand(batch, *model.size, generator=torch.Generator().manual_seed(SEED)), Counter()
    if mode in RUNTIMES:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / 'model.onnx'
            file.write_bytes(to_onnx(model))
            for operator, each in PROFILERS[mode.replace('runtime', '')](str(file), images.numpy()).items():
                found[kind_of(operator)] += each
        return found
    call, _ = BACKENDS[mode](model, images, 'fp32', 'channels_last')
    for _ in range(2):
        call()
    with torch.profiler.profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(CALLS):
            call()
    for event in profiler.key_averages():
        found[kind_of(event.key)] += event.self_cpu_time_total / CALLS / 1e3
    return found


def main() -> None:
    """Profile all that the command line names, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('configs', nargs='+', metavar='CONFIG', help='config files, or names of configs of this package')
    parser.add_argument('--backbone', metavar='NAME', help='as of mvit3 train')
    modes = [mode for mode in BACKENDS if mode not in ('graphs', 'kernels')]
    parser.add_argument('--modes', nargs='+', choices=modes, default=['train'], help='of %(choices)s (default: train)')
    parser.add_argument('--peers', nargs='+', choices=BASELINES, default=[], help='packages to compare with')
    parser.add_argument('--batch-size', type=int, default=8, metavar='N', help='images in a call (default: %(default)s)')
    args = parser.parse_args()
    keep_freed_memory()  # as mvit3 train does; otherwise its cost hides in whichever operator asks for it
    rows = []
    for config in map(find_config, args.configs):
        cfg = read_config(config)
        set_backbone(cfg, args.backbone)
        for model in build_models(run_name(config, args.backbone), cfg, args.peers, None, SEED):
            for mode in args.modes:
                found = times(model, mode if model.owner == 'ours' else baseline_backend(mode), args.batch_size)
                rows.append([model.name, model.owner, mode, f'{found.total():.0f}',
                             *(f'{found[kind]:.0f}' for kind in (*KINDS, 'others'))])
    print(line(describe(torch.device('cpu'))))
    print(table(rows, ['model', 'of', 'mode', 'ms', *KINDS, 'others'], left=3))


if __name__ == '__main__':
    main()
