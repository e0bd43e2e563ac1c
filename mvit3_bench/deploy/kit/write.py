"""The folder for a phone: models, inputs, what PyTorch computes for them, and the script that runs them there."""
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from ... import __version__
from ...datasets.mini.scenes import draw_scene
from ..export import export
from ..folder import check_folder
from ..targets import TARGETS
from ..wrappers import wrap
from . import run

_WRITTEN = ('models', 'inputs', 'expected', 'kit.json', 'run.py', 'README.txt', 'results.json')
_README = '''{name} for a phone, written by mvit3_bench.

    python run.py --runner litert=benchmark_model     # or executorch=executor_runner, ncnn=benchncnn
    mvit3 device --read results.json

models/ holds the files, inputs/ what they are given, expected/ what PyTorch computes (float32, one behind the other).
'''


def write_kit(model: nn.Module, size: tuple[int, int], targets: Sequence[str], folder: str | Path, *, name: str, note: str,
              log: Callable[[str], None] = lambda message: None) -> dict:
    """Write the folder. The models end before the post-processing, so that what a phone computes can be compared.

    Args:
        model: As :func:`mvit3_bench.deploy.export.export` takes it.
        size: Height and width of the images.
        targets: Of ``TARGETS``.
        folder: Where to write; new, empty, or a kit of before.
        name: Of the model.
        note: Where it is from.
        log: Called with a line on the progress.

    Returns:
        What ``kit.json`` says.

    Raises:
        UsageError: The folder has other files.
        ImportError, ValueError, ExportError: As :func:`mvit3_bench.deploy.export.export`.
    """
    folder = Path(folder)
    check_folder(folder, _WRITTEN)
    wrapper = wrap(model.eval(), size, raw=True)
    models = []
    for target in targets:
        file = folder / 'models' / f'{name}{TARGETS[target].suffix}'
        done = export(model, size, target, file, raw=True, note=note, log=log)
        models.append(dict(target=target, name=f'{name}, {target}', dtype='fp32', files=[file.name for file in done.files]))
    inputs = [_write_input(wrapper, key, images, folder) for key, images in _images(size, wrapper.channels).items()]
    shutil.copy(run.__file__, folder / 'run.py')
    (folder / 'README.txt').write_text(_README.format(name=name), encoding='utf-8')
    kit = dict(name=name, origin=note, made_by=f'mvit3_bench {__version__}', task=wrapper.task,
               shape=[1, wrapper.channels, *size], outputs=list(wrapper.output_names()), models=models, inputs=inputs)
    (folder / 'kit.json').write_text(json.dumps(kit, indent=1), encoding='utf-8')
    return kit


def _images(size: tuple[int, int], channels: int) -> dict[str, Tensor]:
    """A drawn scene, and noise: (1, C, H, W) float32, 0 .. 255; RGB, or with these over again."""
    random = np.random.default_rng(0)
    scene = cv2.resize(draw_scene(random, 0).image, size[::-1])
    pictures = dict(scene=scene, noise=random.integers(256, size=(*size, 3)))
    return {key: torch.from_numpy(np.float32(picture[..., np.arange(channels) % 3])).permute(2, 0, 1)[None].contiguous()
            for key, picture in pictures.items()}


@torch.no_grad()
def _write_input(wrapper: nn.Module, key: str, images: Tensor, folder: Path) -> dict:
    """Write an input, and what PyTorch computes for it; their names."""
    files = {f'inputs/{key}.bin': images}
    files |= {f'expected/{key}_{index}.bin': value for index, value in enumerate(wrapper(images))}
    for file, value in files.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(value.numpy().astype('<f4').tobytes())
    first, *expected = files
    return dict(file=first, expected=expected)
