"""The static page of a model: its files, and what PyTorch computes for the example, with which the page compares itself."""
import json
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

from ... import __version__
from ...datasets.configs import short_names
from ...datasets.mini.scenes import draw_scene
from ...errors import UnreadableSample
from ..export import Exported, export
from ..folder import check_folder
from ..wrappers import wrap
from .preprocessing import network_input, page_steps, seen
from .runtime import VERSION, write_runtime

_THRESHOLD = 0.3  # lowest score of a box when the page opens
_ASSETS = files(__package__) / 'assets'
_WRITTEN = ('ort', 'model.onnx', 'model.json', 'example.png', 'expected.json', *(each.name for each in _ASSETS.iterdir()))


def write_page(model: nn.Module, size: tuple[int, int], folder: str | Path, *, pipeline: Sequence[dict], meta: Mapping,
               name: str, note: str, example: str | Path | None = None,
               log: Callable[[str], None] = lambda message: None) -> Exported:
    """Write a page that runs a model in the browser of whoever opens it.

    Args:
        model: A classifier, detector or segmentor of OpenMMLab's.
        size: Height and width of the images.
        folder: Where to write; new, empty, or a page of before.
        pipeline: The test pipeline of the config.
        meta: ``classes``, and ``palette`` where the classes have colours.
        name: The page's title, and the name of the files that it saves.
        note: Where the model is from.
        example: A picture to begin with; None: a drawn scene.
        log: Called with a line on the progress.

    Returns:
        What was exported, the files of the page first.

    Raises:
        UsageError: The folder has other files, the classes have no names, or as :func:`.preprocessing.page_steps`.
        UnreadableSample: The example is no picture.
        RuntimeDownloadError: onnxruntime-web cannot be fetched.
        ImportError, ValueError, ExportError: As :func:`mvit3_bench.deploy.export.export`.
    """
    folder = Path(folder)
    check_folder(folder, _WRITTEN)
    names = short_names(meta, hasattr(model, 'decode_head'))
    steps = page_steps(pipeline, size)
    picture = _read(example) if example else draw_scene(np.random.default_rng(0), 0).image
    write_runtime(folder / 'ort', log)
    done = export(model, size, 'onnx', folder / 'model.onnx', note=note, log=log)
    wrapper = wrap(model.eval(), size)
    with torch.no_grad():
        outputs = wrapper(network_input(pipeline, picture, size))
    expected = {key: value.flatten().tolist() for key, value in zip(wrapper.output_names(), outputs, strict=True)
                if key != 'boxes'}
    cv2.imwrite(str(folder / 'example.png'), picture[:, :, ::-1])
    for asset in _ASSETS.iterdir():
        (folder / asset.name).write_bytes(asset.read_bytes())
    manifest = dict(
        name=name, task=wrapper.task, origin=note, made_by=f'mvit3_bench {__version__}',
        runtime=f'onnxruntime-web {VERSION}', model='model.onnx', bytes=(folder / 'model.onnx').stat().st_size,
        outputs=done.outputs, preprocess=steps, seen=seen(steps), classes=names,
        palette=[list(map(int, each)) for each in meta.get('palette') or []], threshold=_THRESHOLD, example='example.png',
        expected='expected.json')
    for file, content in (('expected.json', expected), ('model.json', manifest)):
        (folder / file).write_text(json.dumps(content), encoding='utf-8')
    return done


def _read(path: str | Path) -> np.ndarray:
    """A picture, (H, W, 3) RGB.

    Raises:
        UnreadableSample: It is none, or is not there.
    """
    image = cv2.imread(str(path))
    if image is None:
        raise UnreadableSample(f'{path} is no picture that OpenCV can read', path, 'another file (--example)')
    return image[:, :, ::-1]
