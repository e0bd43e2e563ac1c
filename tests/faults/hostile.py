"""Hostile checkpoints, offered to the loads of a process with little memory and to the tools themselves."""
import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

from mvit3_bench.utils.paths import MIM

from . import Fault
from .crafted_files import KINDS, write
from .load_subprocess import weights

MEMORY = 1 << 30  # bytes that a load may take on top of the process
SECONDS = 60
EVERY = 25  # one of so many goes to a tool's command line, which takes seconds to start
CONFIG = 'configs/cls/mvit3_xxs_in1k.py'
TOOLS = {
    'test': lambda path: ['test', CONFIG, path, '--mini'],
    'train --resume': lambda path: ['train', CONFIG, '--mini', '--resume', path],
    'train load_from': lambda path: ['train', CONFIG, '--mini', '--cfg-options', f'load_from={path}'],
    'train init_cfg': lambda path: ['train', CONFIG, '--mini', '--cfg-options', 'model.backbone.init_cfg.type=Pretrained',
                                    f'model.backbone.init_cfg.checkpoint={path}'],
    'export': lambda path: ['export', CONFIG, path, '--to', 'torch', '--shape', '64'],
    'convert_checkpoint': lambda path: ['convert_checkpoint', path, 'converted.pth']}


def faults(folder: Path, count: int, seed: int) -> Iterator[Fault]:
    """Write hostile checkpoints and offer them; each is to be refused by name, without a trace of it.

    Args:
        folder: An empty folder to work in.
        count: How many; every kind comes before one comes again.
        seed: Of what the files have at random.
    """
    rng, tensors = Random(seed), weights()
    process = None
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        place = folder / str(number)
        place.mkdir(parents=True)
        file = write(kind, place, tensors, rng)
        if number % EVERY == EVERY - 1:
            name = list(TOOLS)[number // EVERY % len(TOOLS)]
            seen = _command(TOOLS[name](str(file)), folder, str(file))
        else:
            name = 'loads'
            if process is None or process.poll() is not None:
                process = _start(folder)
            seen = _offer(process, str(file))
        if (place / 'canary').exists():
            seen = f'it ran code; {seen}'
        yield Fault(f'hostile checkpoint: {kind}', f'{number} of seed {seed}, to {name}', 'lost' if seen else 'survived',
                    seen or 'refused by name')
        shutil.rmtree(place)
    if process:
        process.stdin.close()
        process.wait(SECONDS)


def _environment() -> dict[str, str]:
    tests = Path(__file__).parents[1]
    paths = [str(tests.parent), str(tests), os.environ.get('PYTHONPATH', '')]
    return dict(os.environ, PYTHONPATH=os.pathsep.join(paths), OMP_NUM_THREADS='1')


def _start(folder: Path) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, '-m', 'faults.load_subprocess', str(MEMORY)], cwd=folder, env=_environment(),
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def _offer(process: subprocess.Popen, path: str) -> str:
    """What was wrong, empty if nothing was."""
    process.stdin.write(f'{path}\n')
    process.stdin.flush()
    if select.select([process.stdout], [], [], SECONDS)[0]:
        if line := process.stdout.readline():
            return '; '.join(f'{name}: {outcome}' for name, outcome in json.loads(line).items())
        return f'the process died with {process.wait()}'
    process.kill()
    process.wait()
    return f'no answer within {SECONDS} s'


def _command(arguments: list[str], folder: Path, path: str) -> str:
    name, *rest = (str(MIM / argument) if argument == CONFIG else argument for argument in arguments)
    try:
        done = subprocess.run([sys.executable, str(MIM / 'tools' / f'{name}.py'), *rest], cwd=folder, env=_environment(),
                              capture_output=True, text=True, timeout=4 * SECONDS)
    except subprocess.TimeoutExpired:
        return f'no end within {4 * SECONDS} s'
    problems = dict(code=f'exit code {done.returncode}' if done.returncode != 1 else '',
                    traceback='a traceback' if 'Traceback' in done.stderr else '',
                    name='the message names no file' if path not in done.stderr else '')
    return '; '.join(filter(None, problems.values()))
