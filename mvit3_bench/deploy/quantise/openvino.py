"""OpenVINO in fewer bits: weights in float16, or INT8 by NNCF."""
import tempfile
from pathlib import Path

from torch import Tensor

from ..targets import onnx
from ..wrappers import ExportWrapper
from .onnx import nodes_of


def write_float16(deployed: ExportWrapper, file: Path, notes: dict) -> None:
    """Write a model whose weights are stored in float16."""
    import openvino
    _save(openvino, _converted(deployed, notes), file, notes, compress_to_fp16=True)


def write_int8(deployed: ExportWrapper, file: Path, notes: dict, images: Tensor, keep: tuple[str, ...]) -> None:
    """Write a model that NNCF quantised; arguments as of ONNX. Products of two activations stay in float, too: OpenVINO then
    keeps the attention in one piece.
    """
    import nncf
    import openvino
    with tempfile.TemporaryDirectory() as folder:
        exact = Path(folder) / 'model.onnx'
        onnx.write(deployed, exact, notes)
        nodes = nodes_of(exact, keep)
        model = openvino.convert_model(exact)
    kept = [name for operation in model.get_ordered_ops()
            if (name := operation.get_friendly_name()).partition('/')[0] in nodes or _of_activations(operation)]
    # activations asymmetric, as SiLU's are; NNCF's scheme for transformers loses a third of the answers here
    model = nncf.quantize(
        model, nncf.Dataset([image.numpy() for image in images.split(1)]), subset_size=len(images),
        preset=nncf.QuantizationPreset.MIXED,
        ignored_scope=nncf.IgnoredScope(names=kept, validate=False))
    _save(openvino, model, file, notes, compress_to_fp16=False)


def _of_activations(operation) -> bool:
    """Whether an operation is an attention, or a matrix product that has no weight."""
    if operation.get_type_name() != 'MatMul':
        return operation.get_type_name() == 'ScaledDotProductAttention'
    return all(each.get_source_output().get_node().get_type_name() != 'Constant' for each in operation.inputs())


def _converted(deployed: ExportWrapper, notes: dict):
    import openvino
    with tempfile.TemporaryDirectory() as folder:
        onnx.write(deployed, Path(folder) / 'model.onnx', notes)
        return openvino.convert_model(Path(folder) / 'model.onnx')


def _save(openvino, model, file: Path, notes: dict, compress_to_fp16: bool) -> None:
    for key, value in notes.items():
        model.set_rt_info(value, ['mvit3_bench', key])
    openvino.save_model(model, file, compress_to_fp16=compress_to_fp16)
