"""The test pipeline of a config as a page repeats it: one resizing, and a crop."""
from collections.abc import Sequence

import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.registry import TRANSFORMS
from torch import Tensor

from ...datasets.transforms.loading import as_loaded
from ...errors import UsageError
from ...registry import type_name

_IGNORED = ('LoadImageFromFile', 'LoadAnnotations', 'PackInputs', 'PackDetInputs', 'PackSegInputs')
_RESIZES = ('Resize', 'ResizeEdge', 'ResizeShortSide')
_LIBRARIES = dict(cv2='opencv', pillow='pillow')
_INTERPOLATIONS = ('bilinear', 'bicubic')
_SEEN = dict(
    stretch='Pictures are stretched to the size of the network.',
    crop='The network sees the middle of a picture; the rest is shaded.',
    fit='Pictures are fitted into the size of the network, and what is left of it is black. The test pipeline lets the size '
        'follow the picture instead: the two agree on pictures of the same shape as the network.')


def page_steps(pipeline: Sequence[dict], size: tuple[int, int]) -> dict:
    """What a page does to a picture before the network.

    Args:
        pipeline: The test pipeline.
        size: Height and width of the network's images.

    Returns:
        ``kind`` ('stretch', 'crop' or 'fit'), ``size``, ``library`` and ``interpolation``; of a crop ``edge``, the length
        that the shorter side is resized to.

    Raises:
        UsageError: The pipeline has a step, or a way of resizing, that a page cannot repeat, or images of another size.
    """
    names, steps = [type_name(step) for step in pipeline], {type_name(step): step for step in pipeline}
    resizes = [name for name in names if name in _RESIZES]
    unknown = [name for name in names if name not in (*_IGNORED, *_RESIZES, 'CenterCrop')]
    if unknown or len(resizes) != 1 or names.count('CenterCrop') > 1:
        what = ', '.join(unknown) or f'{len(resizes)} resizings and {names.count("CenterCrop")} crops'
        raise UsageError(f'the test pipeline has {what}, which the page cannot repeat', 'test_pipeline',
                         f'it knows one of {", ".join(_RESIZES)}, and CenterCrop')
    resize, crop = steps[resizes[0]], steps.get('CenterCrop')
    library = _LIBRARIES.get(resize.get('backend', 'cv2'))
    interpolation = resize.get('interpolation', 'bilinear')
    fits = not crop and (resizes != ['Resize'] or resize.get('keep_ratio', False))
    wanted = not crop or resizes != ['Resize'] and isinstance(resize.get('scale'), int) and not (
        resize.get('max_size') or resize.get('enlarge_only'))
    if (library is None or interpolation not in _INTERPOLATIONS or resize.get('edge', 'short') != 'short' or not wanted
            or not fits and 'scale' not in resize):
        raise UsageError(f'the page cannot resize as the test pipeline does: {dict(resize)}', 'test_pipeline',
                         f'it knows backend cv2 or pillow, {" or ".join(_INTERPOLATIONS)}, a scale, and before a crop the '
                         'length of the shorter edge')
    given = size if fits else _height_and_width(crop['crop_size'] if crop else resize['scale'])
    if given != tuple(size):
        raise UsageError(f'the test pipeline gives images of {given[0]}x{given[1]}, not {size[0]}x{size[1]}', '--shape',
                         'leave --shape out, or change the pipeline (--cfg-options)')
    kind = dict(kind='crop', edge=resize['scale']) if crop else dict(kind='fit' if fits else 'stretch')
    return kind | dict(size=list(size), library=library, interpolation=interpolation)


def _height_and_width(value: int | Sequence[int]) -> tuple[int, int]:
    """Of OpenMMLab's one number or (width, height)."""
    return (value, value) if isinstance(value, int) else (value[1], value[0])


def seen(steps: dict) -> str:
    """What :func:`page_steps` does, in a sentence for the page."""
    return _SEEN[steps['kind']]


def network_input(pipeline: Sequence[dict], picture: np.ndarray, size: tuple[int, int]) -> Tensor:
    """A picture as the test pipeline gives it to the network; of a pipeline that keeps the ratio, as a page does.

    Args:
        picture: (H, W, 3) uint8, RGB.
        size: Height and width of the network's images.

    Returns:
        (1, 3, H, W) float32, RGB, 0 .. 255.
    """
    height, width = picture.shape[:2]
    fits = page_steps(pipeline, size)['kind'] == 'fit'
    steps = [_fitted(step, (height, width), size) if fits and type_name(step) in _RESIZES else step
             for step in pipeline if not type_name(step).startswith('Load')]
    data = as_loaded(np.ascontiguousarray(picture[:, :, ::-1]))
    image = Compose([TRANSFORMS.build(step) for step in steps])(data)['inputs'].flip(0).float()
    padding = (0, size[1] - image.shape[2], 0, size[0] - image.shape[1])
    return torch.nn.functional.pad(image, padding)[None]


def _fitted(resize: dict, picture: tuple[int, int], size: tuple[int, int]) -> dict:
    """A resizing that fits a picture into the network's size."""
    scale = min(side / length for side, length in zip(size, picture, strict=True))
    height, width = (max(1, int(length * scale + 0.5)) for length in picture)
    kept = {key: resize[key] for key in ('backend', 'interpolation') if key in resize}
    return dict(type='Resize', scale=(width, height), keep_ratio=False, **kept)
