"""What a GPU does with the models, in eight minutes: speed and deviation beside timm, trainings in mixed precision, NCCL.

Runs commands of this package one after the other, each within its own limit, downloads nothing, and writes after each one
what it gave: ``gpu.json``, ``gpu.md``, and a folder for each.

    python -m mvit3_bench.benchmark.gpu --out work_dirs/gpu
"""
import argparse
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

MODELS = ['cls/mvit1_s_in1k', 'cls/mvit2_1.0_in1k', 'cls/mvit3_s_in1k', 'cls/mvit3_1.0_in1k']
TASKS = dict(classification='cls/mvit3_xxs_in1k', detection='det/ssdlite_mvit3_xxs_coco',
             segmentation='seg/deeplabv3_mvit3_0.5_ade20k')
STEPS = 20  # of each training
GRACE = 10  # seconds that a step which is stopped has until it is killed


def benchmark(out: Path, *flags: str) -> list[str]:
    """The words of a benchmark beside timm with the same weights."""
    return [sys.executable, '-m', 'mvit3_bench.cli', 'benchmark', *flags, '--peers', 'timm', '--quick', '--out', str(out)]


def training(config: str, out: Path, device: str) -> list[str]:
    """The words of a short training on miniature data, by torchrun with one process; on a GPU that is NCCL."""
    return [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=1', '-m', 'mvit3_bench.cli',
            'train', config, '--mini', '--launcher', 'pytorch', '--work-dir', str(out),
            *(['--amp'] if device == 'cuda' else []), '--cfg-options', 'default_hooks.logger.interval=1',
            'train_cfg.max_epochs=8', 'train_cfg.val_interval=8']


def steps(out: Path, device: str) -> dict[str, tuple[list[str], int]]:
    """Name -> the words of a command, and the seconds it may take; the most wanted first."""
    on = ('--device', device)
    if device == 'cpu':
        found = dict(latency=(benchmark(out / 'latency', MODELS[0], *on, '--modes', 'eager', 'deploy'), 300))
    else:
        modes = dict(latency=['eager', 'graphs', '--dtypes', 'fp32', 'fp16'],
                     throughput=['eager', 'deploy', '--dtypes', 'fp16', 'bf16', '--batch-sizes', '128'])
        found = {name: (benchmark(out / name, *MODELS, *on, '--modes', *each), 90) for name, each in modes.items()}
    limit = 45 if device == 'cuda' else 600
    found |= {task: (training(config, out / task, device), limit) for task, config in TASKS.items()}
    if device == 'cuda':
        found['compiled'] = benchmark(out / 'compiled', *MODELS[:2], *on, '--modes', 'compile', '--dtypes', 'fp16'), 105
    return found


def run(words: list[str], seconds: int, log: Path) -> str:
    """Run a command, what it prints into a file -> how it ended."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, 'w') as file:
        process = subprocess.Popen(words, stdout=file, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.terminate()  # a benchmark writes what it has
            with suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with the workers of torchrun, which would keep the GPU
            process.wait()
            return f'stopped after {seconds} s'
    return 'done' if code == 0 else f'exit code {code}: {log.read_text(errors="replace").strip().splitlines()[-1:]}'


def losses(folder: Path, since: float) -> list[float]:
    """The losses of a training that began after a time, iteration by iteration."""
    from ..results.curves import entries_of
    files = sorted(file for file in folder.glob('*/vis_data/scalars.json') if file.stat().st_mtime >= since)
    return [entry['loss'] for entry in (entries_of(files[-1]) if files else []) if 'loss' in entry]


def judged(task: str, found: list[float]) -> str:
    """Whether the losses of a training are finite and fall, as a sentence."""
    if len(found) < STEPS:
        return f'{task}: {len(found)} iterations, at least {STEPS} wanted'
    first, last = sum(found[:5]) / 5, sum(found[-5:]) / 5
    finite = all(abs(each) < float('inf') for each in found)  # NaN is not
    words = 'finite' if finite else 'NOT finite', 'falls' if last < first else 'does NOT fall'
    return f'{task}: {", ".join(words)}: {first:.3f} to {last:.3f} in {len(found)} iterations'


def page(content: dict, out: Path) -> str:
    """What was found, in Markdown."""
    parts = ['# On a GPU', '']
    parts += [f'- {name}: {step["ended"]}, {step["seconds"]:.0f} s' for name, step in content['steps'].items()]
    parts += ['', '## Trainings', '', *(f'- {each}' for each in content['trainings'].values())]
    for name in content['benchmarks']:
        table = out / name / 'benchmark.md'
        parts += ['', f'## {name.capitalize()}', *table.read_text(encoding='utf-8').splitlines()[1:]]
    return '\n'.join(parts) + '\n'


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, default=Path('work_dirs/gpu'), metavar='DIR',
                        help='folder to write (default: %(default)s)')
    parser.add_argument('--device', choices=['cuda', 'cpu'], default='cuda', help='cpu: to try the script itself')
    parser.add_argument('--only', nargs='+', metavar='STEP', help='some of the steps, by their names in gpu.md')
    args = parser.parse_args()
    content = dict(steps={}, trainings={}, benchmarks={})
    args.out.mkdir(parents=True, exist_ok=True)
    for name, (words, seconds) in steps(args.out, args.device).items():
        if args.only and name not in args.only:
            continue
        start = time.time()
        ended = run(words, seconds, args.out / name / 'log.txt')
        content['steps'][name] = dict(command=words[1:], ended=ended, seconds=time.time() - start)
        if name in TASKS:
            content['trainings'][name] = judged(name, losses(args.out / name, start))
        elif (file := args.out / name / 'benchmark.json').is_file() and file.stat().st_mtime >= start:
            content['benchmarks'][name] = json.loads(file.read_text(encoding='utf-8'))
        (args.out / 'gpu.json').write_text(json.dumps(content, indent=1))
        (args.out / 'gpu.md').write_text(page(content, args.out), encoding='utf-8')
        print(f'{name}: {ended}', flush=True)
    print((args.out / 'gpu.md').read_text(encoding='utf-8'))


if __name__ == '__main__':
    main()
