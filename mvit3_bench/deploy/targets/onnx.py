"""ONNX: one file of standard operators, run by ONNX Runtime."""
from pathlib import Path

import torch

from ..wrappers import ExportWrapper
from .base import Loaded, Target, capture, describe

OPSET = 18  # the first in which every reduction takes its axes as an input, as today's exporter writes them


def write(deployed: ExportWrapper, file: Path, notes: dict) -> None:
    """Write a model, with what is known of it as metadata."""
    from ..nms import onnx_nms
    program = torch.onnx.export(
        capture(deployed, free_batch=True), opset_version=OPSET, verbose=False, input_names=['images'],
        output_names=list(deployed.output_names()) or None, custom_translation_table={
            torch.ops.mvit3_bench.nms.default: onnx_nms, torch.ops.aten.upsample_bilinear2d.vec: _resize})
    _name_batch(program.model.graph)
    program.model.metadata_props.clear()
    program.model.metadata_props.update(notes)
    program.save(file, external_data=False)


def _resize(images, output_size, align_corners: bool, scale_factors=None):
    """Bilinear interpolation, to a size or by factors, whose batch torch 2.6 would make a constant."""
    from onnxscript import opset18 as op
    how = dict(mode='linear', coordinate_transformation_mode='align_corners' if align_corners else 'pytorch_half_pixel')
    if output_size is None:
        return op.Resize(images, None, op.Constant(value_floats=[1.0, 1.0, *scale_factors]), None, **how)
    sizes = op.Concat(op.Shape(images, start=0, end=2), op.Constant(value_ints=list(output_size)), axis=0)
    return op.Resize(images, None, None, sizes, **how)


def _name_batch(onnx_graph) -> None:
    """Call the free size 'batch', which torch calls by a number, wherever it stands alone."""
    import onnx_ir
    symbol = onnx_graph.inputs[0].shape[0]
    values = [*onnx_graph.inputs, *onnx_graph.outputs, *(value for node in onnx_graph for value in node.outputs)]
    for value in values:
        if value.shape is not None:
            value.shape = onnx_ir.Shape(['batch' if side == symbol else side for side in value.shape])


def load(file: Path) -> Loaded:
    """Load a file into ONNX Runtime."""
    import onnxruntime
    session = onnxruntime.InferenceSession(file, providers=['CPUExecutionProvider'])
    described = [{each.name: describe(each.shape, each.type[7:-1]) for each in values}
                 for values in (session.get_inputs(), session.get_outputs())]
    name = session.get_inputs()[0].name
    return Loaded(lambda images: [torch.from_numpy(x) for x in session.run(None, {name: images.numpy()})], *described)


TARGET = Target('.onnx', write, load, dict(onnx='onnx', onnxscript='onnxscript', onnxruntime='onnxruntime'))
