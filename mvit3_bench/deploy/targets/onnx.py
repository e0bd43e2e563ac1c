"""ONNX: one file of standard operators, run by ONNX Runtime."""
from pathlib import Path

import torch

from ..wrappers import ExportWrapper
from .base import Loaded, Target, capture, describe

OPSET = 18  # the first in which every reduction takes its axes as an input, as today's exporter writes them
SCOPES = 'pkg.torch.onnx.name_scopes'  # key of what the exporter notes of a node: the modules that it is of


def write(deployed: ExportWrapper, file: Path, notes: dict, scopes: bool = False) -> None:
    """Write a model, with what is known of it as metadata.

    What the exporter notes of each node is left out: lines of sources with their paths on this machine, a megabyte in all.

    Args:
        deployed, file, notes: As of every target.
        scopes: Whether the nodes keep the names of their modules.
    """
    import onnx_ir

    from ..nms import onnx_nms
    program = torch.onnx.export(
        _name_sizes(capture(deployed, free_batch=True)), opset_version=OPSET, verbose=False, input_names=['images'],
        output_names=list(deployed.output_names()) or None,
        custom_translation_table={torch.ops.mvit3_bench.nms.default: onnx_nms})
    _name_batch(program.model.graph)
    for node in onnx_ir.traversal.RecursiveGraphIterator(program.model.graph):
        for key in node.metadata_props.keys() - ({SCOPES} if scopes else set()):
            del node.metadata_props[key]
    program.model.metadata_props.clear()
    program.model.metadata_props.update(notes)
    program.save(file, external_data=False)


def _name_sizes(program: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """With torch 2.6, interpolate by the operator that takes the size alone, as at the one that takes factors too it makes
    the batch a constant. The former ends in index tables as large as the output, the latter, with later ones, in Resize.
    """
    for node in program.graph.nodes if torch.__version__ < '2.7' else ():
        if node.target is torch.ops.aten.upsample_bilinear2d.vec and node.args[1] is not None:
            node.target, node.args = torch.ops.aten.upsample_bilinear2d.default, node.args[:3]
    return program


def _name_batch(onnx_graph) -> None:
    """Call the free size 'batch', which torch calls by a number, wherever it stands alone."""
    import onnx_ir
    symbol = onnx_graph.inputs[0].shape[0]
    values = [*onnx_graph.inputs, *onnx_graph.outputs, *(value for node in onnx_graph for value in node.outputs)]
    for value in values:
        if value.shape is not None:
            value.shape = onnx_ir.Shape(['batch' if side == symbol else side for side in value.shape])


def start_session(onnx: Path | str | bytes, **options):
    """Start an ``onnxruntime.InferenceSession`` on the CPU, on as many threads as torch.

    Args:
        onnx: A file, or its content.
        options: Attributes of ``onnxruntime.SessionOptions``.
    """
    import onnxruntime
    session_options = onnxruntime.SessionOptions()
    for key, value in dict(intra_op_num_threads=torch.get_num_threads(), **options).items():
        setattr(session_options, key, value)
    return onnxruntime.InferenceSession(onnx, session_options, providers=['CPUExecutionProvider'])


def load(file: Path) -> Loaded:
    """Load a file into ONNX Runtime."""
    session = start_session(file)
    described = [{each.name: describe(each.shape, each.type[7:-1]) for each in values}
                 for values in (session.get_inputs(), session.get_outputs())]
    name = session.get_inputs()[0].name
    return Loaded(lambda images: [torch.from_numpy(x) for x in session.run(None, {name: images.numpy()})], *described)


TARGET = Target('.onnx', write, load, dict(onnx='onnx', onnxscript='onnxscript', onnxruntime='onnxruntime'), extra='onnx')
