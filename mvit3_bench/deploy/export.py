"""Export to ONNX, OpenVINO or torch.export. The exported file is run and compared with the model before it is kept."""
import json
import os
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from .. import __version__
from ..errors import ExportError
from .fuse import fuse
from .wrappers import ExportWrapper, replace_layers, wrap

OPSET = 18  # the first in which every reduction takes its axes as an input, as today's exporter writes them
TOLERANCE = 1e-4  # of the standard deviation
_PACKAGES = dict(onnx=('onnx', 'onnxscript', 'onnxruntime'), openvino=('onnx', 'onnxscript', 'openvino'), torch=())
SUFFIXES = dict(onnx='.onnx', openvino='.xml', torch='.pt2')


@dataclass(frozen=True)
class Exported:
    """What was written.

    Args:
        files: The files, the one to load first.
        inputs, outputs: Name -> shape and type, as text; ``?`` stands for the batch.
        deviations: Batch size -> largest deviation from the model, in standard deviations of its outputs.
    """
    files: tuple[Path, ...]
    inputs: dict[str, str]
    outputs: dict[str, str]
    deviations: dict[int, float]


def require(form: str) -> None:
    """Check that what a form needs is installed.

    Raises:
        ImportError: A package is missing; the message has the line that installs it.
    """
    missing = [name for name in _PACKAGES[form] if not find_spec(name)]
    if missing:
        raise ImportError(f'exporting to {form} needs {", ".join(missing)}: pip install {" ".join(missing)}')


def export(model: nn.Module, size: tuple[int, int], form: str, out: str | Path, *, raw: bool = False, note: str = '',
           log: Callable[[str], None] = lambda message: None) -> Exported:
    """Export the inference copy of a model, run it at batch 1 and 3 on random images, and compare with the model.

    Args:
        model: A backbone, a classifier, or a classifier, detector or segmentor of OpenMMLab's.
        size: Height and width of the images; the batch is free.
        form: ``'onnx'`` (opset 18, standard operators, one file), ``'openvino'`` (.xml and .bin, float32) or ``'torch'``
            (a program of torch.export).
        out: File to write; it appears only if the comparison succeeds.
        raw: End before the post-processing, see :mod:`mvit3_bench.deploy.wrappers`.
        note: Where the model is from, for the metadata of the file.
        log: Called with a line on the progress.

    Raises:
        ImportError: A package is missing.
        ValueError: The size or the model cannot be exported, or the suffix of ``out`` is not that of the form.
        ExportError: The exporter failed, or the outputs deviate by more than 1e-4 standard deviations.
    """
    require(form)
    out = Path(out)
    if out.suffix != SUFFIXES[form]:
        raise ValueError(f'{out}: a file of {form} ends in {SUFFIXES[form]}')
    training = model.training
    model.eval()
    try:
        reference = wrap(model, size, raw)
        if not raw:
            images = _images(reference, 2)
            if not (off := reference.deviation(images, reference.predicted(images))) <= TOLERANCE:
                raise ExportError(f'what would be exported deviates from what {type(model).__name__} predicts by {off:.2g} '
                                  f'standard deviations (allowed: {TOLERANCE:g}), or is not finite')
        deployed = wrap(replace_layers(fuse(model)), size, raw)
        notes = dict(made_by=f'mvit3_bench {__version__}', task=reference.task, images=reference.image, origin=note)
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f'.{out.name}.', dir=out.parent) as folder:
            part = Path(folder) / out.name
            log(f'writing {form} for images of {size[0]}x{size[1]}: this takes up to a minute')
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter('ignore')
                    _WRITERS[form](deployed, part, notes)
            except Exception as error:  # exporters raise whatever the operators of a model meet
                reason = (str(error).strip() or type(error).__name__).splitlines()[0]
                raise ExportError(f'{type(model).__name__} cannot be exported to {form}: {reason}') from error
            log('running it, and the model, on random images')
            run, inputs, outputs = _RUNNERS[form](part)
            deviations = {batch: reference.deviation(images, run(images))
                          for batch, images in ((batch, _images(reference, batch)) for batch in (1, 3))}
            if not all(value <= TOLERANCE for value in deviations.values()):  # NaN fails, too
                raise ExportError(f'what was exported to {form} deviates from the model by '
                                  f'{", ".join(f"{value:.2g}" for value in deviations.values())} standard deviations at '
                                  f'batch 1 and 3 (allowed: {TOLERANCE:g}), so it was not kept. If the model itself gives '
                                  'finite and different numbers, try another form (--to)')
            files = sorted(Path(folder).iterdir(), key=lambda file: file.suffix != out.suffix)
            for file in files:
                if (out.parent / file.name).exists():
                    log(f'{out.parent / file.name} was there already and is replaced')
                os.replace(file, out.parent / file.name)
    finally:
        model.train(training)
    outputs = dict(zip(reference.output_names() or outputs, outputs.values(), strict=True))
    return Exported(tuple(out.parent / file.name for file in files), inputs, outputs, deviations)


def _images(wanted: ExportWrapper, batch: int) -> Tensor:
    generator = torch.Generator().manual_seed(batch)
    images = torch.rand(batch, wanted.channels, *wanted.size, generator=generator)
    return images if wanted.task == 'backbone' else images * 255


def _capture(deployed: ExportWrapper) -> torch.export.ExportedProgram:
    images = torch.zeros(2, deployed.channels, *deployed.size)  # a batch of 1 would be taken for a constant
    batch = torch.export.Dim('batch', min=1)
    return torch.export.export(deployed.eval(), (images,), dynamic_shapes={'images': {0: batch}})


def _write_torch(deployed: ExportWrapper, file: Path, notes: dict) -> None:
    torch.export.save(_capture(deployed), file, extra_files={'mvit3_bench.json': json.dumps(notes)})


def write_onnx(deployed: ExportWrapper, file: Path, notes: dict) -> None:
    from .nms import onnx_nms
    program = torch.onnx.export(
        _name_sizes(_capture(deployed)), opset_version=OPSET, verbose=False, input_names=['images'],
        output_names=list(deployed.output_names()) or None,
        custom_translation_table={torch.ops.mvit3_bench.nms.default: onnx_nms})
    _name_batch(program.model.graph)
    program.model.metadata_props.clear()
    program.model.metadata_props.update(notes)
    program.save(file, external_data=False)


def _name_sizes(program: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """Interpolate by the operator that takes the size alone: at the one that takes factors too, torch 2.6 makes the batch,
    on its way to ONNX, a constant.
    """
    vec, plain = torch.ops.aten.upsample_bilinear2d.vec, torch.ops.aten.upsample_bilinear2d.default
    for node in program.graph.nodes:
        if node.target is vec and node.args[1] is not None:
            node.target, node.args = plain, node.args[:3]
    return program


def _name_batch(onnx_graph) -> None:
    """Call the free size 'batch', which torch calls by a number, wherever it stands alone."""
    import onnx_ir
    symbol = onnx_graph.inputs[0].shape[0]
    values = [*onnx_graph.inputs, *onnx_graph.outputs, *(value for node in onnx_graph for value in node.outputs)]
    for value in values:
        if value.shape is not None:
            value.shape = onnx_ir.Shape(['batch' if side == symbol else side for side in value.shape])


def _write_openvino(deployed: ExportWrapper, file: Path, notes: dict) -> None:
    import openvino
    with tempfile.TemporaryDirectory() as folder:
        write_onnx(deployed, Path(folder) / 'model.onnx', notes)
        model = openvino.convert_model(Path(folder) / 'model.onnx')
        for key, value in notes.items():
            model.set_rt_info(value, ['mvit3_bench', key])
        openvino.save_model(model, file, compress_to_fp16=False)


_WRITERS = dict(onnx=write_onnx, openvino=_write_openvino, torch=_write_torch)


def _run_onnx(file: Path):
    import onnxruntime
    session = onnxruntime.InferenceSession(file, providers=['CPUExecutionProvider'])
    described = [{each.name: _describe(each.shape, each.type[7:-1]) for each in values}
                 for values in (session.get_inputs(), session.get_outputs())]
    return lambda images: [torch.from_numpy(x) for x in session.run(None, {session.get_inputs()[0].name: images.numpy()})], \
        *described


def _run_openvino(file: Path):
    import openvino
    # by default OpenVINO computes in bfloat16 on a CPU that has it
    model = openvino.compile_model(file, 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'})
    described = [{each.any_name: _describe([side.to_string() for side in each.partial_shape], each.element_type.to_string())
                  for each in values} for values in (model.inputs, model.outputs)]
    return lambda images: [torch.from_numpy(x.copy()) for x in model(images.numpy()).values()], *described


def _run_torch(file: Path):
    program = torch.export.load(file)
    module = program.module()
    values = {node.name: node.meta['val'] for node in program.graph.nodes if 'val' in node.meta}
    described = [{name: _describe(values[name].shape, str(values[name].dtype)[6:]) for name in names}
                 for names in (program.graph_signature.user_inputs, program.graph_signature.user_outputs)]

    @torch.no_grad()
    def run(images: Tensor) -> list[Tensor]:
        return list(module(images))
    return run, *described


_RUNNERS = dict(onnx=_run_onnx, openvino=_run_openvino, torch=_run_torch)


def _describe(shape, kind: str) -> str:
    sides = [str(side) if str(side).isdigit() else 'batch' for side in shape]
    return f'({", ".join(sides)}) {kind}'
