"""Weights and activations of fewer bits: which formats have which precision, and who writes it."""
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ...errors import UsageError
from ..targets import TARGETS
from ..targets.base import check_packages
from ..wrappers import ExportWrapper
from . import executorch, litert, onnx, openvino

PRECISIONS = ('float32', 'float16', 'bfloat16', 'int8')
Write = Callable[..., None]  # the model, the file, what is known of it; for int8 the calibration as well
WRITERS: dict[str, dict[str, Write]] = dict(
    onnx=dict(float16=onnx.write_float16, bfloat16=onnx.write_bfloat16, int8=onnx.write_int8),
    openvino=dict(float16=openvino.write_float16, int8=openvino.write_int8),
    litert=dict(int8=litert.write_int8),
    executorch=dict(int8=executorch.write_int8))
KEEPING = ('onnx', 'openvino', 'executorch')  # formats in which INT8 can leave layers in float
PACKAGES = {('openvino', 'int8'): dict(nncf='nncf>=3.4')}  # beside those of the target


@dataclass(frozen=True)
class Calibration:
    """What INT8 is calibrated with and looked at by.

    Args:
        images: (N, 3, H, W) as the model takes them; the ranges of activations are theirs.
        others: Images of the test set, on which the agreement is measured.
        keep: Modules that stay in float, by their names in what is exported.
    """
    images: Tensor
    others: Tensor
    keep: tuple[str, ...] = ()


def writer(form: str, precision: str, keep: bool = False) -> Write:
    """Who writes a format in a precision; with ``keep``, and leaves layers in float.

    Raises:
        UsageError: Nobody does; the message lists the precisions of the format, and the formats of the precision.
        ImportError: A package is missing or too old.
    """
    if precision == 'float32':
        return TARGETS[form].write
    if precision not in WRITERS.get(form, {}):
        has = ', '.join(['float32', *WRITERS.get(form, {})])
        others = ', '.join(other for other, found in WRITERS.items() if precision in found)
        raise UsageError(f'--precision {precision} is not possible with --to {form}', '--precision',
                         f'{form} has {has}' + (f'; {precision} is possible with --to {others}' if others else ''))
    if keep and form not in KEEPING:
        raise UsageError(f'--sensitivity is not possible with --to {form}', '--sensitivity',
                         f'its quantiser does not know the layers; possible with --to {", ".join(KEEPING)}')
    check_packages(f'{precision} for {form}', PACKAGES.get((form, precision), {}))
    return WRITERS[form][precision]


def write(deployed: ExportWrapper, form: str, precision: str, file: Path, notes: dict,
          calibration: Calibration | None) -> None:
    """Write a model; what does not belong to INT8 needs no calibration."""
    if precision != 'int8':
        writer(form, precision)(deployed, file, notes | dict(precision=precision))
        return
    if calibration is None:
        raise UsageError('INT8 needs a calibration', 'calibration', 'give images, as pipeline_images makes them')
    writer(form, precision, keep=bool(calibration.keep))(
        deployed, file, notes | dict(precision=precision), calibration.images, calibration.keep)
