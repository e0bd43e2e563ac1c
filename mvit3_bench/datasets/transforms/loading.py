"""Loading that never passes a broken file on in silence."""
from pathlib import Path

import numpy as np
from mmcv.transforms import BaseTransform, Compose
from mmengine.logging import MMLogger

from ...errors import UnreadableSample
from ...registry import TRANSFORMS
from ..checks.samples import LONGEST, Limits, check_sample
from ..kept_bytes import forget_bytes, keep_bytes

_MOST_IN_A_ROW = 100  # broken samples, after which the data set is taken to be broken as a whole


def as_loaded(image: np.ndarray, path: str | Path = '') -> dict:
    """What loading leaves of an image that is in memory, (H, W, 3) BGR: the keys that the transforms behind it need."""
    size = image.shape[:2]
    return dict(img=image, img_path=str(path), img_id=0, img_shape=size, ori_shape=size, height=size[0], width=size[1])


@TRANSFORMS.register_module()
class Load(BaseTransform):
    """Loading transforms, with checks of what they loaded and a decision about broken files.

    Args:
        transforms: Loading transforms (image, annotations) as configs, or built.
        on_error: ``'raise'`` stops the training and names the files of the sample. ``'skip'`` logs them and a count, and
            lets the data set draw another sample.
        longest: Times the shorter side that the longer one of an image may have; None for any.
        any_depth: Whether grey images of more than 8 bits are taken as the transform reads them.

    Raises:
        UnreadableSample: A file cannot be read, or its labels are not those of the image (see
            :func:`~mvit3_bench.datasets.checks.samples.check_sample`), and ``on_error`` is ``'raise'``; or 100
            samples in a row are like that.
    """

    fix = "repair or remove it, or set on_error='skip' in mvit3_bench.Load"

    def __init__(self, transforms: list, on_error: str = 'raise', longest: float | None = LONGEST, any_depth: bool = False):
        if on_error not in ('raise', 'skip'):
            raise ValueError(f"on_error={on_error!r} is not possible; allowed: 'raise', 'skip'")
        self.transforms = Compose(transforms)
        for step in self.transforms.transforms:
            keep_bytes(step)
        self.on_error = on_error
        self.limits = Limits(longest, any_depth)
        self.skipped = 0  # of this process: with several workers, each counts its own
        self.in_a_row = 0

    def transform(self, results: dict) -> dict | None:
        files = [results[key] for key in ('img_path', 'seg_map_path') if results.get(key)]
        known = set(results)
        try:
            for file in map(Path, files):  # reading a pipe would wait for ever
                if file.exists() and not file.is_file():
                    raise ValueError(f'{file} is not a file')
            loaded = self.transforms(results)
            if loaded is not None:
                check_sample(loaded, loaded.keys() - known, self.limits)
            self.in_a_row = 0
            return loaded
        except Exception as error:  # decoders raise whatever they like
            reason = ' '.join(str(error).split()) or type(error).__name__
        finally:
            forget_bytes()
        message = f'cannot read {" with ".join(files)}: {reason}'
        if self.on_error == 'raise':
            raise UnreadableSample(message, ' with '.join(files), self.fix)
        self.skipped += 1
        self.in_a_row += 1
        MMLogger.get_current_instance().warning(f'skipped sample no. {self.skipped}: {message}')
        if self.in_a_row == _MOST_IN_A_ROW:
            raise UnreadableSample(f'{_MOST_IN_A_ROW} samples in a row cannot be used, the last: {message}')
        return None

    def __repr__(self) -> str:
        return f'{type(self).__name__}(transforms={self.transforms}, on_error={self.on_error!r})'
