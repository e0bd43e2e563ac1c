"""OpenVINO: its intermediate representation in float32, converted from ONNX."""
import tempfile
from pathlib import Path

import torch

from ..wrappers import ExportWrapper
from . import onnx
from .base import Loaded, Target, describe


def write(deployed: ExportWrapper, file: Path, notes: dict, compress_to_fp16: bool = False) -> None:
    """Write a model, its weights stored in float16 if that is asked for."""
    import openvino
    with tempfile.TemporaryDirectory() as folder:
        onnx.write(deployed, Path(folder) / 'model.onnx', notes)
        save(openvino.convert_model(Path(folder) / 'model.onnx'), file, notes, compress_to_fp16)


def save(model, file: Path, notes: dict, compress_to_fp16: bool = False) -> None:
    """Write a model of OpenVINO, with what is known of it as ``rt_info``."""
    import openvino
    for key, value in notes.items():
        model.set_rt_info(value, ['mvit3_bench', key])
    openvino.save_model(model, file, compress_to_fp16=compress_to_fp16)


def compile_model(model, **options):
    """Compile a file, or a model of OpenVINO, for the CPU: in float32, one call at a time, on as many threads as torch.

    Args:
        model: What ``openvino.compile_model`` takes.
        options: Further properties of the compiled model.
    """
    import openvino
    # by default OpenVINO computes in bfloat16 on a CPU that has it
    return openvino.compile_model(model, 'CPU', dict(
        INFERENCE_PRECISION_HINT='f32', PERFORMANCE_HINT='LATENCY', INFERENCE_NUM_THREADS=torch.get_num_threads(),
        **options))


def load(file: Path) -> Loaded:
    """Load a file into OpenVINO, on the CPU."""
    model = compile_model(file)
    described = [{each.any_name: describe([side.to_string() for side in each.partial_shape], each.element_type.to_string())
                  for each in values} for values in (model.inputs, model.outputs)]
    return Loaded(lambda images: [torch.from_numpy(x.copy()) for x in model(images.numpy()).values()], *described)


TARGET = Target('.xml', write, load, dict(onnx='onnx', onnxscript='onnxscript', openvino='openvino'), extra='openvino')
