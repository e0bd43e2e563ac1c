"""OpenVINO in fewer bits: weights in float16, or INT8 by NNCF."""
import tempfile
from pathlib import Path

from torch import Tensor

from ..targets import onnx, openvino
from ..wrappers import ExportWrapper
from .onnx import nodes_of


def write_float16(deployed: ExportWrapper, file: Path, notes: dict) -> None:
    """Write a model whose weights are stored in float16."""
    openvino.write(deployed, file, notes, compress_to_fp16=True)


def write_int8(deployed: ExportWrapper, file: Path, notes: dict, images: Tensor, keep: tuple[str, ...]) -> None:
    """Write a model that NNCF quantised; arguments as of ONNX. Products of two activations stay in float, too: OpenVINO then
    keeps the attention in one piece.
    """
    import nncf
    from openvino import convert_model
    with tempfile.TemporaryDirectory() as folder:
        exact = Path(folder) / 'model.onnx'
        onnx.write(deployed, exact, notes, scopes=True)
        nodes = nodes_of(exact, keep)
        model = convert_model(exact)
    kept = [name for operation in model.get_ordered_ops()
            if (name := operation.get_friendly_name()).partition('/')[0] in nodes or _of_activations(operation)]
    # activations asymmetric, as SiLU's are; NNCF's scheme for transformers loses a third of the answers here
    model = nncf.quantize(
        model, nncf.Dataset([image.numpy() for image in images.split(1)]), subset_size=len(images),
        preset=nncf.QuantizationPreset.MIXED,
        ignored_scope=nncf.IgnoredScope(names=kept, validate=False))
    openvino.save(model, file, notes)


def _of_activations(operation) -> bool:
    """Whether an operation is an attention, or a matrix product that has no weight."""
    if operation.get_type_name() != 'MatMul':
        return operation.get_type_name() == 'ScaledDotProductAttention'
    return all(each.get_source_output().get_node().get_type_name() != 'Constant' for each in operation.inputs())
