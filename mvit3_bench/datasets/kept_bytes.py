"""The bytes of the files that loading transforms have read, so that a check needs no second reading."""
from mmcv.transforms import BaseTransform
from mmengine import fileio
from mmengine.fileio import BaseStorageBackend, register_backend

_NAME = 'mvit3_bench.kept_bytes'
_kept: dict[str, bytes] = {}


@register_backend(_NAME)
class KeptBytesBackend(BaseStorageBackend):
    """A storage backend that reads by another one and keeps what it has read until it is taken.

    Args:
        inner: The ``backend_args`` of the other one; None: as the path says.
    """

    def __init__(self, inner: dict | None = None):
        self.inner = inner

    def get(self, filepath: str) -> bytes:
        content = _kept[str(filepath)] = fileio.get(filepath, backend_args=self.inner)
        return content

    def get_text(self, filepath: str, encoding: str = 'utf-8') -> str:
        return self.get(filepath).decode(encoding)


def keep_bytes(step: BaseTransform) -> None:
    """Let a loading transform keep the bytes of its files; one that has other ways to read is left as it is."""
    args = getattr(step, 'backend_args', None)
    if hasattr(step, 'backend_args') and (args or {}).get('backend') != _NAME:
        step.backend_args = dict(backend=_NAME, inner=args)


def take_bytes(path: str) -> bytes:
    """The content of a file: what a transform has kept, or what the path says."""
    return _kept.pop(str(path)) if str(path) in _kept else fileio.get(path)


def forget_bytes() -> None:
    """Drop what nobody has taken."""
    _kept.clear()
