"""The formats that models are exported to: a module each, whose ``TARGET`` is listed here by the name of ``--to``."""
from . import coreml, executorch, litert, ncnn, onnx, openvino, torch_export
from .base import Loaded, Target

TARGETS: dict[str, Target] = dict(
    onnx=onnx.TARGET, openvino=openvino.TARGET, torch=torch_export.TARGET, litert=litert.TARGET,
    executorch=executorch.TARGET, ncnn=ncnn.TARGET, coreml=coreml.TARGET)

__all__ = ['TARGETS', 'Loaded', 'Target', 'require']


def require(name: str) -> None:
    """Check that what a target needs is installed.

    Raises:
        ImportError: A package is missing or too old; the message has the line that installs it.
        ValueError: There is no such target.
    """
    if name not in TARGETS:
        raise ValueError(f'{name!r} is no format; allowed: {", ".join(TARGETS)}')
    TARGETS[name].require(name)
