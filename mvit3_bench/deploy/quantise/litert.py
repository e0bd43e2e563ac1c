"""LiteRT in INT8, by the quantiser of AI Edge."""
import tempfile
from pathlib import Path

from torch import Tensor

from ..targets import litert
from ..targets.base import write_notes
from ..wrappers import ExportWrapper


def write_int8(deployed: ExportWrapper, file: Path, notes: dict, images: Tensor, keep: tuple[str, ...]) -> None:
    """Write a model with weights and activations of INT8; arguments as of ONNX, but nothing can be kept in float."""
    from ai_edge_quantizer import quantizer, recipe
    with tempfile.TemporaryDirectory() as folder:
        exact = Path(folder) / 'float.tflite'
        litert.write(deployed, exact, notes)
        work = quantizer.Quantizer(str(exact), recipe.static_wi8_ai8())
        found = work.calibrate({'serving_default': [dict(images=image.numpy()) for image in images.split(1)]})
        work.quantize(found).export_model(str(file), overwrite=True)
    write_notes(file, notes)
