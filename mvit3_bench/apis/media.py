"""Images, folders of them and videos: what is read one frame after the other, and written again."""
from collections.abc import Iterator
from pathlib import Path

import cv2
import mmcv
import numpy as np

from ..errors import MissingFileError, UsageError
from ..utils.text import not_text

IMAGES = ('.bmp', '.jfif', '.jp2', '.jpeg', '.jpg', '.pgm', '.png', '.ppm', '.tif', '.tiff', '.webp')
_ENOUGH = 0.99  # of the frames that the header of a video tells of: some tell an estimate


def images(path: Path) -> list[Path]:
    """An image, or the images in a folder; none if it is neither.

    Raises:
        FileNotFoundError: There is no such file or folder.
        UsageError: A folder without images.
    """
    if not path.exists():
        raise MissingFileError(f'{path} does not exist', path)
    if not path.is_dir():
        return [path] if path.suffix.lower() in IMAGES or _is_image(path) else []
    found = sorted(file for file in path.iterdir() if file.suffix.lower() in IMAGES and not file.name.startswith('.'))
    if not found:
        raise UsageError(f'no image ({", ".join(IMAGES)}) in {path}', path)
    return found


def _is_image(path: Path) -> bool:
    """Whether a file of another suffix, or of none, is an image by its content. An animation is a video."""
    return path.suffix.lower() != '.gif' and not not_text([str(path)]) and cv2.haveImageReader(str(path))


def _named(path: Path) -> str:
    """The name of a video for OpenCV, which crashes on one that is not UTF-8.

    Raises:
        UsageError: It is not.
    """
    if not_text([str(path)]):
        raise UsageError(f'{path} cannot be the name of a video: it is not UTF-8', path, 'rename it')
    return str(path)


class Video:
    """The frames of a video, (H, W, 3) BGR, as OpenCV decodes them.

    Args:
        path: The file.

    Raises:
        UsageError: It cannot be decoded, or its name is not UTF-8; when it is iterated over, also if that ends before the
            end of the video.
    """

    def __init__(self, path: Path):
        self.path, self._reader = path, mmcv.VideoReader(_named(path)) if path.is_file() else None
        if self._reader is None or not self._reader.opened or self._reader.width < 1:
            raise UsageError(f'{path} cannot be decoded: neither an image ({", ".join(IMAGES)}) nor a video that OpenCV '
                             'can read', path, 'convert it, for instance to an mp4 with H.264')

    def __len__(self) -> int:
        """The number of frames by the header, 0 if it does not tell."""
        return max(0, self._reader.frame_cnt)

    @property
    def fps(self) -> float:
        """Frames a second; 25 if the file does not tell."""
        return self._reader.fps if self._reader.fps > 0 else 25.0

    def __iter__(self) -> Iterator[np.ndarray]:
        count = 0
        while (frame := self._reader.read()) is not None:
            count += 1
            yield frame
        if count == 0 or count < _ENOUGH * len(self):
            raise UsageError(f'{self.path} cannot be decoded beyond frame {count}'
                             + (f' of the {len(self)} that it should have' if len(self) else '')
                             + ': it is damaged or cut off', self.path)


class Writer:
    """Writes pictures into an mp4 video, whose size is that of the first.

    Args:
        path: File to write.
        fps: Frames a second.
    """

    def __init__(self, path: Path, fps: float):
        self.path, self.fps, self._writer = path, fps, None

    def write(self, picture: np.ndarray) -> None:
        """Append a picture, (H, W, 3) RGB.

        Raises:
            UsageError: OpenCV cannot write the file, or its name is not UTF-8.
        """
        if self._writer is None:
            codec, size = cv2.VideoWriter_fourcc(*'mp4v'), picture.shape[1::-1]
            self._writer = cv2.VideoWriter(_named(self.path), codec, self.fps, size)
            if not self._writer.isOpened():
                raise UsageError(f'OpenCV cannot write {self.path}', self.path)
        self._writer.write(mmcv.rgb2bgr(picture))

    def __enter__(self) -> 'Writer':
        return self

    def __exit__(self, *_) -> None:
        if self._writer is not None:
            self._writer.release()  # what was written so far can be played
