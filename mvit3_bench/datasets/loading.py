"""Loading that never passes a broken file on in silence."""
from mmcv.transforms import BaseTransform, Compose
from mmengine.logging import MMLogger

from ..registry import TRANSFORMS


class UnreadableSample(RuntimeError):
    """A file of a data set cannot be read, or not used; the message names it."""


@TRANSFORMS.register_module()
class Load(BaseTransform):
    """The loading transforms of a training pipeline, with a decision about broken files.

    Args:
        transforms: Loading transforms (image, annotations) as configs. Let images be decoded with
            ``imdecode_backend='pillow'``: before version 5, OpenCV fills a truncated JPEG with grey and says nothing.
        on_error: ``'raise'`` stops the training and names the files of the sample. ``'skip'`` logs them and a count, and
            lets the data set draw another sample.

    Raises:
        UnreadableSample: A file cannot be read and ``on_error`` is ``'raise'``.
    """

    def __init__(self, transforms: list[dict], on_error: str = 'raise'):
        if on_error not in ('raise', 'skip'):
            raise ValueError(f"on_error={on_error!r} is not possible; allowed: 'raise', 'skip'")
        self.transforms = Compose(transforms)
        self.on_error = on_error
        self.skipped = 0  # of this process: with several workers, each counts its own

    def transform(self, results: dict) -> dict | None:
        files = [results[key] for key in ('img_path', 'seg_map_path') if results.get(key)]
        try:
            return self.transforms(results)
        except Exception as error:  # decoders raise whatever they like
            message = f'cannot read {" with ".join(files)}: {error or type(error).__name__}'
        if self.on_error == 'raise':
            raise UnreadableSample(f"{message}; repair or remove it, or set on_error='skip' in mvit3_bench.Load")
        self.skipped += 1
        MMLogger.get_current_instance().warning(f'skipped sample no. {self.skipped}: {message}')
        return None

    def __repr__(self) -> str:
        return f'{type(self).__name__}(transforms={self.transforms}, on_error={self.on_error!r})'
