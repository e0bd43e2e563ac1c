"""LiteRT in INT8, by the quantiser of AI Edge."""
import tempfile
from pathlib import Path

from torch import Tensor

from ..targets import litert
from ..targets.base import write_notes
from ..wrappers import ExportWrapper


def write_int8(deployed: ExportWrapper, file: Path, notes: dict, images: Tensor, keep: tuple[str, ...]) -> None:
    """Write a model with weights and activations of INT8; arguments as of ONNX, but nothing can be kept in float."""
    from ai_edge_quantizer import quantizer, recipe_manager
    from ai_edge_quantizer.algorithm_manager import AlgorithmName
    from ai_edge_quantizer.qtyping import TFLOperationName
    recipe = recipe_manager.RecipeManager()
    recipe.add_static_config('.*', TFLOperationName.ALL_SUPPORTED, activation_num_bits=8, weight_num_bits=8)
    for place in (TFLOperationName.INPUT, TFLOperationName.OUTPUT):  # which stay float32
        recipe.add_quantization_config('.*', place, algorithm_key=AlgorithmName.NO_QUANTIZE)
    with tempfile.TemporaryDirectory() as folder:
        exact = Path(folder) / 'float.tflite'
        litert.write(deployed, exact, notes)
        work = quantizer.Quantizer(str(exact), recipe.get_quantization_recipe())
        found = work.calibrate({'serving_default': [dict(images=image.numpy()) for image in images.split(1)]})
        work.quantize(found).export_model(str(file), overwrite=True)
    write_notes(file, notes)
