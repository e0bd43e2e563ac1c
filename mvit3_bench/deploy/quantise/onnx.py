"""ONNX in fewer bits: weights in half precision, or INT8 by the nodes that ONNX Runtime calls QDQ."""
import ast
import tempfile
from pathlib import Path

import numpy as np
from torch import Tensor

from ..targets import onnx
from ..wrappers import ExportWrapper

QUANTISED = ['Conv', 'MatMul', 'Gemm']
_SMALLEST = 1024  # numbers of a tensor that is worth a conversion


def write_float16(deployed: ExportWrapper, file: Path, notes: dict) -> None:
    """Write a model whose weights are stored in float16; it computes in float32."""
    onnx.write(deployed, file, notes)
    _store(file, 'float16')


def write_bfloat16(deployed: ExportWrapper, file: Path, notes: dict) -> None:
    """Write a model whose weights are stored in bfloat16; it computes in float32."""
    onnx.write(deployed, file, notes)
    _store(file, 'bfloat16')


def _store(file: Path, kind: str) -> None:
    """Convert the large weights of a file, and convert them back in the graph, which ONNX Runtime does once."""
    import ml_dtypes
    import onnx as library
    from onnx import TensorProto, helper, numpy_helper
    model = library.load(file)
    dtype, number = dict(float16=(np.float16, TensorProto.FLOAT16),
                         bfloat16=(ml_dtypes.bfloat16, TensorProto.BFLOAT16))[kind]
    casts = []
    for weight in model.graph.initializer:
        if weight.data_type == TensorProto.FLOAT and int(np.prod(weight.dims)) >= _SMALLEST:
            name = weight.name
            weight.CopyFrom(helper.make_tensor(f'{name}_{kind}', number, weight.dims,
                                               numpy_helper.to_array(weight).astype(dtype).tobytes(), raw=True))
            casts.append(helper.make_node('Cast', [weight.name], [name], f'{name}_float', to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    library.save(model, file)


def write_int8(deployed: ExportWrapper, file: Path, notes: dict, images: Tensor, keep: tuple[str, ...]) -> None:
    """Write a model whose convolutions and linear layers are of INT8, with a scale a channel for weights.

    Weights have 7 bits: with 8, a processor without VNNI adds two products in 16 bits, which overflow, and nothing says so.
    Products of two activations stay in float: around them ONNX Runtime would take a softmax of INT8, which is many times
    slower than that of float32.

    Args:
        deployed, file, notes: As of every target.
        images: To calibrate with.
        keep: Modules that stay in float.
    """
    import onnx as library
    from onnxruntime.quantization import QuantType, quantize_static
    with tempfile.TemporaryDirectory() as folder:
        exact = Path(folder) / 'float.onnx'
        onnx.write(deployed, exact, notes, scopes=True)
        quantize_static(exact, file, _Reader(images), per_channel=True, reduce_range=True, activation_type=QuantType.QUInt8,
                        weight_type=QuantType.QInt8, op_types_to_quantize=QUANTISED,
                        nodes_to_exclude=nodes_of(exact, keep) + _of_activations(exact))
    model = library.load(file)
    for node in model.graph.node:
        del node.metadata_props[:]
    library.save(model, file)


def nodes_of(file: Path, modules: tuple[str, ...]) -> list[str]:
    """The names of the nodes that an exported file has of some modules, by what the exporter noted.

    Raises:
        ValueError: It has none of any of them.
    """
    import onnx as library
    found = []
    for node in library.load(file, load_external_data=False).graph.node:
        noted = next((each.value for each in node.metadata_props if each.key == onnx.SCOPES), '[]')
        if set(ast.literal_eval(noted)) & set(modules):
            found.append(node.name)
    if modules and not found:
        raise ValueError(f'the exported file has no node of {", ".join(modules)}')
    return found


def _of_activations(file: Path) -> list[str]:
    """The names of the matrix products that have no weight."""
    import onnx as library
    graph = library.load(file).graph
    weights = {each.name for each in graph.initializer}
    return [node.name for node in graph.node if node.op_type == 'MatMul' and weights.isdisjoint(node.input)]


class _Reader:
    """Images one by one, as ONNX Runtime asks for them."""

    def __init__(self, images: Tensor):
        self.images = iter(images.split(1))

    def get_next(self) -> dict | None:
        image = next(self.images, None)
        return None if image is None else dict(images=image.numpy())
