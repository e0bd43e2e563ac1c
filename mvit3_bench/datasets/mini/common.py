"""What every format writes alike: the check of its arguments, its pictures, the head of its README."""

from pathlib import Path

import cv2
import numpy as np


def check_arguments(train: int, val: int, seed: int) -> None:
    """Raises ValueError, naming the argument, where a maker is asked for too little."""
    for name, value, least in (('train', train, 1), ('val', val, 1), ('seed', seed, 0)):
        if value < least:
            raise ValueError(f'{name} must be {least} or more, not {value}')


def write_jpeg(path: Path, image: np.ndarray) -> None:
    """Writes a picture, (H, W, 3) uint8 RGB."""
    bgr = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2BGR)
    _encode(path, bgr, cv2.IMWRITE_JPEG_QUALITY, 95)


def write_png(path: Path, labels: np.ndarray) -> None:
    """Writes a label map, (H, W) uint8, as it is."""
    _encode(path, labels, cv2.IMWRITE_PNG_COMPRESSION, 9)


def _encode(path: Path, pixels: np.ndarray, *options: int) -> None:
    """Writes a picture; unlike `cv2.imwrite`, a full disk raises instead of returning False."""
    done, data = cv2.imencode(path.suffix, pixels, options)
    if not done:
        raise OSError(f'OpenCV could not encode {path}')
    path.write_bytes(data.tobytes())


def readme_head(original: str, maker: str, train: int, val: int, seed: int) -> list[str]:
    """The first lines of `README.txt`: what the set is, and the command that makes it."""
    return [
        f'A miniature {original}: {train} training and {val} validation images.',
        f'A program drew them; no photograph and no file of {original} is among them. It is for trying',
        f'code out, and a score on it says nothing about {original}.',
        '',
        'Made by:',
        f'    python tools/make_mini_data.py {maker} --train {train} --val {val} --seed {seed}',
    ]
