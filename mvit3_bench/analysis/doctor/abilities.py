"""Does what a run builds on really work: operators, safe loading, decoding, compiling? Each is tried."""
import io
import os
import pickle
import shutil
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import mmcv
import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from PIL import ExifTags, Image

from ... import compat
from ...checkpoints.loaders import UNSAFE
from .finding import ERROR, INFO, OK, WARNING, Finding
from .plan import listening

_finding = partial(Finding, 'abilities')
_BACKENDS = ('cv2', 'pillow')
_ROTATED = 6  # of EXIF: to be turned by 90 degrees


def examine_abilities() -> Iterator[Finding]:
    """Operators of mmcv, the loading of checkpoints, the decoding of images, a compiler."""
    with listening():  # the stand-in announces itself in the log
        yield _operators()
    yield _safe_loading()
    yield _resuming()
    with tempfile.TemporaryDirectory() as folder:
        yield from _decoding(Path(folder))
    yield _compiler()


def _operators() -> Finding:
    boxes = torch.tensor([[0, 0, 10, 10], [1, 0, 11, 10], [20, 20, 30, 30]], dtype=torch.float32)
    stand_in = isinstance(sys.modules.get(compat.EXT), compat.ExtStandIn)
    kind = 'stand-in through torchvision (mmcv-lite)' if stand_in else "mmcv's compiled ones"
    try:
        from mmcv.ops import nms
        _, kept = nms(boxes, torch.tensor([0.9, 0.8, 0.7]), iou_threshold=0.5)
    except Exception as error:  # a library that does not fit torch fails in any way it likes
        return _finding('operators', ERROR, f'{kind}: NMS fails: {type(error).__name__}: {error}',
                        f'install a torchvision or mmcv that fits this torch; mmcv: {compat.REMEDY}')
    if kept.tolist() != [0, 2]:
        return _finding('operators', ERROR, f'{kind}: NMS keeps boxes {kept.tolist()} in place of [0, 2]', compat.REMEDY)
    return _finding('operators', OK, kind)


def _safe_loading() -> Finding:
    """A file that names a function, a harmless one, is refused unless something has turned torch's policy off."""
    file = io.BytesIO()
    torch.save(os.path.join, file)
    try:
        torch.load(io.BytesIO(file.getvalue()))
    except pickle.UnpicklingError:
        return _finding('safe loading', OK, 'weights_only is in force')
    cause = f'{UNSAFE}={os.environ[UNSAFE]} is set' if UNSAFE in os.environ else 'something patches torch.load'
    return _finding('safe loading', WARNING, f'torch.load runs what a file names: {cause}',
                    f'unset {UNSAFE}' if UNSAFE in os.environ else 'take the patch away')


def _resuming() -> Finding:
    file = io.BytesIO()
    torch.save(dict(history=HistoryBuffer([1.0], [1])), file)
    try:
        torch.load(io.BytesIO(file.getvalue()), weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).strip().partition('\n')[0]
        return _finding('resuming', ERROR, f"MMEngine's checkpoints cannot be loaded: {reason}",
                        'import mvit3_bench.compat before anything else that names types to torch')
    return _finding('resuming', OK, "MMEngine's checkpoints can be loaded safely")


def _decoding(folder: Path) -> Iterator[Finding]:
    ramp = np.add.outer(np.arange(16), np.arange(24)).astype(np.uint8) * 4
    picture = np.stack([ramp, ramp[::-1], ramp[:, ::-1]], axis=-1)
    for suffix, tolerance in (('png', 0), ('jpg', 40)):
        Image.fromarray(picture).save(folder / f'picture.{suffix}', exif=_exif(), quality=95)
        found = cv2.imread(str(folder / f'picture.{suffix}'), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        if found is None or found.shape != picture.shape:
            yield _finding('decoding', ERROR, f'OpenCV {cv2.__version__} cannot read a {suffix} that Pillow wrote',
                           'pip install --force-reinstall opencv-python')
            return
        if (off := np.abs(found[..., ::-1].astype(int) - picture).max()) > tolerance:
            yield _finding('decoding', ERROR, f'OpenCV {cv2.__version__} reads a {suffix} with values wrong by up to {off}',
                           'pip install --force-reinstall opencv-python')
            return
    yield _finding('decoding', OK, f'OpenCV {cv2.__version__} reads png and jpg')

    turned = picture.shape[1::-1]
    applied = {backend: mmcv.imread(folder / 'picture.jpg', backend=backend).shape[:2] == turned for backend in _BACKENDS}
    words = ', '.join(f'{backend}: {"applied" if applied[backend] else "ignored"}' for backend in _BACKENDS)
    yield (_finding('EXIF orientation', OK, words) if all(applied.values()) else
           _finding('EXIF orientation', WARNING, words, 'boxes and masks must be those of the pixels as decoded: turn such '
                                                         'images once and for all, for instance with exiftran -ai'))


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = _ROTATED
    return exif


def _compiler() -> Finding:
    wanted = [os.environ['CXX']] if 'CXX' in os.environ else ['g++', 'clang++']
    found = next(filter(None, map(shutil.which, wanted)), None)
    return (_finding('compiler', OK, f'{found}, for torch.compile') if found else
            _finding('compiler', INFO, f'none ({", ".join(wanted)}); needed for torch.compile only', 'apt-get install g++'))
