"""A cell: a model exported to a format, run and compared; all cells are in one file."""
import json
import multiprocessing
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch

from ...checkpoints.atomic import write_text
from ...errors import UsageError
from ...utils import environment
from ..targets import TARGETS

# model -> task -> config
MODELS = {
    name: dict(classification=f'{arch}_in1k', detection=f'ssdlite_{arch}_coco', segmentation=f'deeplabv3_{arch}_voc2012')
    for name, arch in {'v3-XXS': 'mvit3_xxs', 'v3-0.5': 'mvit3_0.5', 'v3-S': 'mvit3_s', 'v3-1.0': 'mvit3_1.0',
                       'v1-S': 'mvit1_s', 'v2-1.0': 'mvit2_1.0'}.items()}
_CALLS = 7, 36  # of a latency, at least and at most, of which the first sixth warms up
_SECONDS = 6  # in which a file makes as many of them as it can


def new(command: str) -> dict:
    """The content of a file before anything is exported."""
    packages = dict.fromkeys(wanted.partition('>=')[0] for target in TARGETS.values() for wanted in target.packages.values())
    return origin(command) | dict(versions={each: found for each in packages if (found := _version(each))}, cells={})


def origin(command: str) -> dict:
    """Where figures are from."""
    return dict(command=command, date=time.strftime('%Y-%m-%d'), machine=environment.describe(torch.device('cpu')))


def read(path: Path, command: str) -> dict:
    """What a file holds already; a new one, if there is none.

    Raises:
        UsageError: It is no file of this table.
    """
    if not path.exists():
        return new(command)
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        content['cells'].items()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f'{path} is no table of exported files', path, f'--out OTHER, or remove {path}') from error
    return content


def write(path: Path, content: dict) -> None:
    """Write the file; what was there is complete until the new one is."""
    write_text(path, json.dumps(content, indent=1) + '\n')


def key_of(target: str, task: str, model: str) -> str:
    return f'{target}/{task}/{model}'


def separately(function, *args) -> dict:
    """Call a function in a process that ends with it -> what it returns; where a runtime ends the process, the reason."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context('spawn')) as pool:
        try:
            return pool.submit(function, *args).result()
        except BrokenProcessPool:
            return dict(failed='the process ended: its runtime or exporter crashed')


def export_cell(config: str, form: str, out: str) -> dict:
    """Export the untrained model of a config -> what came of it, as it is recorded."""
    from ...engine import run_config
    from ...engine.config_files import find_config
    from ..export import export
    torch.manual_seed(0)
    start = time.perf_counter()
    cell = dict(config=config)
    try:
        _, model, size = run_config.model_and_size(find_config(config))
        cell['size'] = list(size)
        done = export(model, size, form, out, note=f'{config}, none')
    except Exception as error:  # of any exporter or runtime: the reason is the result
        return cell | dict(failed=str(error) or type(error).__name__, seconds=round(time.perf_counter() - start, 1))
    return cell | written(done.files) | dict(
        raw=done.raw, operators=done.operators, deviation=max(done.deviations.values(), default=None),
        seconds=round(time.perf_counter() - start, 1))


def on_one_core() -> None:
    """Keep this process to one core, before a runtime makes its threads."""
    if hasattr(os, 'sched_setaffinity'):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)


def image_of(size: list[int]) -> torch.Tensor:
    """An image to time with, (1, 3, H, W), 0 .. 255."""
    return torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(1)) * 255


def written(files: Sequence[Path]) -> dict:
    """Files of an export as a cell records them, without notes beside them."""
    from ..export import size_of
    weights = [file for file in files if file.suffix != '.json']
    return dict(files=[str(file) for file in weights], bytes=sum(map(size_of, weights)))


def latencies(form: str, files: dict[str, str], size: list[int]) -> dict[str, dict]:
    """Time one image through files of a form, round by round in turns, on one core.

    Args:
        form: Of the files.
        files: Name -> file.
        size: Height and width.

    Returns:
        Name -> median and 90th percentile in milliseconds, and the number of calls; empty where the runtime does not run.
    """
    on_one_core()
    from ..export import quiet
    with quiet():
        calls = {name: TARGETS[form].load(Path(file)).call for name, file in files.items()}
        if None in calls.values():
            return {}
        images = image_of(size)
        times = {name: [] for name in calls}
        begin, (least, most) = time.perf_counter(), _CALLS
        for number in range(most):
            if number >= least and time.perf_counter() - begin > _SECONDS * len(calls):
                break
            for name, call in calls.items():
                start = time.perf_counter()
                call(images)
                times[name].append(1000 * (time.perf_counter() - start))
    warm = {name: each[len(each) // 6:] for name, each in times.items()}
    return {name: dict(median_ms=float(np.median(each)), p90_ms=float(np.quantile(each, 0.9)), calls=len(each))
            for name, each in warm.items()}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
