"""Export to the formats of :mod:`mvit3_bench.deploy.targets`; each file is run and compared with the model first."""
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from .. import __version__
from ..errors import ExportError, UsageError, first_line
from .device import device_form
from .fuse import fuse
from .layers import replace_layers
from .quantise import Calibration, write, writer
from .quantise.calibration import agreement
from .targets import TARGETS, Loaded, Target, require
from .targets.base import blank
from .wrappers import ExportWrapper, wrap

TOLERANCE = 1e-4  # of the standard deviation
_ALLOWED = dict(float32=TOLERANCE, float16=0.02, bfloat16=0.2)  # INT8 is judged by the agreement of its answers


@dataclass(frozen=True)
class Exported:
    """What was written.

    Args:
        files: The files, the one to load first.
        inputs, outputs: Name -> shape and type, as text; ``batch`` stands for a free batch.
        deviations: Batch size -> largest deviation from the model, in standard deviations of its outputs; empty where
            the runtime does not run here.
        raw: It ends before the post-processing.
        operators: Kind -> number, of a file that was not run.
        agreement: Of INT8, share of answers on images of the test set that are those of the model.
    """
    files: tuple[Path, ...]
    inputs: dict[str, str]
    outputs: dict[str, str]
    deviations: dict[int, float]
    raw: bool
    operators: dict[str, int]
    agreement: float | None = None


def export(model: nn.Module, size: tuple[int, int], form: str, out: str | Path, *, raw: bool = False, note: str = '',
           precision: str = 'float32', calibration: Calibration | None = None,
           log: Callable[[str], None] = lambda message: None) -> Exported:
    """Export the inference copy of a model, run it on random images, and compare with the model.

    Args:
        model: A backbone, a classifier, or a classifier, detector or segmentor of OpenMMLab's.
        size: Height and width of the images. The batch is free in ``'onnx'``, ``'openvino'`` and ``'torch'``, which are
            compared at 1 and 3 images, and 1 in the others.
        form: One of ``TARGETS``.
        out: File to write; it appears only if the comparison succeeds.
        raw: End before the post-processing, see :mod:`mvit3_bench.deploy.wrappers`; always so where the format cannot
            hold it.
        note: Where the model is from, for the metadata of the file.
        precision: Of the weights, one of ``PRECISIONS`` that the form has; ``'int8'``: of weights and activations.
        calibration: For ``'int8'``.
        log: Called with a line on the progress.

    Raises:
        ImportError: A package is missing.
        ValueError: The size or the model cannot be exported, or the suffix of ``out`` is not that of the form.
        UsageError: The form has no such precision.
        ExportError: The exporter failed, or the outputs deviate by more than 1e-4 standard deviations (float16: 0.02,
            bfloat16: 0.2).
    """
    require(form)
    writer(form, precision)
    target, out = TARGETS[form], Path(out)
    if not out.name.endswith(target.suffix):
        raise ValueError(f'{out}: a file of {form} ends in {target.suffix}')
    first = next(model.parameters())
    if (first.dtype, first.device.type) != (torch.float32, 'cpu'):
        raise ValueError(f'a model in {str(first.dtype)[6:]} on {first.device} cannot be exported; allowed: float32 on the '
                         'CPU, model.float().cpu(); precision= is that of the file')
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        reference = wrap(model, size, raw)
        if not raw and reference.task not in (*target.finishes, 'backbone'):
            log(f'{form} cannot hold the post-processing of {reference.task}: the file ends before it, as with --raw')
            reference = wrap(model, size, raw=True)
        _check_prediction(model, reference)
        deployed = deploy(model, size, reference.raw, target.device)
        notes = dict(made_by=f'mvit3_bench {__version__}', task=reference.task, images=reference.image, origin=note)
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f'.{out.name}.', dir=out.parent) as folder:
            part = Path(folder) / out.name
            log(f'writing {form} for images of {size[0]}x{size[1]}: this takes a minute or two')
            _write(model, deployed, form, part, notes, precision, calibration)
            log('running it, and the model, on ' + ('images of the test set' if calibration else 'random images'))
            loaded, deviations, agreed = _run(reference, target, form, part, calibration)
            allowed = _ALLOWED.get(precision)
            if not all(value <= allowed for value in deviations.values()):  # NaN fails, too
                raise ExportError(f'what was exported to {form} deviates from the model by '
                                  f'{", ".join(f"{value:.2g}" for value in deviations.values())} standard deviations at '
                                  f'batch {" and ".join(map(str, deviations))} (allowed: {allowed:g}), so it was not '
                                  'kept. If the model itself gives finite and different numbers, try another form (--to)')
            files = sorted(Path(folder).iterdir(), key=lambda file: file.suffix != out.suffix)
            for file in reversed(files):  # a graph without its weights is worse than weights without their graph
                _keep(file, out.parent / file.name, log)
    finally:
        for module in training:
            module.training = True
    outputs = {name: described if name == own else f'{described}, in the file {own}' for name, (own, described) in zip(
        reference.output_names() or loaded.outputs, loaded.outputs.items(), strict=True)}
    return Exported(tuple(out.parent / file.name for file in files), loaded.inputs, outputs, deviations, reference.raw,
                    loaded.operators, agreed)


def deploy(model: nn.Module, size: tuple[int, int], raw: bool, device: bool) -> ExportWrapper:
    """The inference copy of a model as it is exported; with ``device``, in the form that delegates take, for one image."""
    deployed = wrap(fuse(model, size), size, raw)
    if device:
        device_form(deployed, blank(deployed))
    return replace_layers(deployed, device).eval()


def _check_prediction(model: nn.Module, reference: ExportWrapper) -> None:
    """Compare what will be exported with what the framework predicts.

    Raises:
        ExportError: They differ.
    """
    if reference.raw:
        return
    images = _images(reference, 2)
    if not (off := reference.deviation(images, reference.predicted(images))) <= TOLERANCE:
        raise ExportError(f'what would be exported deviates from what {type(model).__name__} predicts by {off:.2g} '
                          f'standard deviations (allowed: {TOLERANCE:g}), or is not finite')


def _write(model: nn.Module, deployed: ExportWrapper, form: str, file: Path, notes: dict, precision: str,
           calibration: Calibration | None) -> None:
    try:
        with warnings.catch_warnings(), quiet():
            warnings.simplefilter('ignore')
            write(deployed, form, precision, file, notes, calibration)
    except UsageError:
        raise
    except Exception as error:  # exporters raise whatever the operators of a model meet
        raise ExportError(f'{type(model).__name__} cannot be exported to {form}: {first_line(error)}') from error


def _run(reference: ExportWrapper, target: Target, form: str, file: Path,
         calibration: Calibration | None) -> tuple[Loaded, dict[int, float], float | None]:
    """Run a file: as it is loaded, its deviation at each batch size, or with INT8 the agreement.

    Raises:
        ExportError: Its runtime fails.
    """
    try:
        with quiet():
            loaded = target.load(file)
            if calibration:
                return loaded, {}, _agreement(reference, loaded, calibration.others)
            return loaded, _deviations(reference, loaded, target), None
    except Exception as error:  # of any runtime
        raise ExportError(f'the runtime of {form} cannot run what was exported: {first_line(error)}', form,
                          'it was not kept; try another form (--to)') from error


def _deviations(reference: ExportWrapper, loaded: Loaded, target: Target) -> dict[int, float]:
    if loaded.call is None:
        return {}
    return {batch: reference.deviation(images, loaded.call(images))
            for batch, images in ((batch, _images(reference, batch)) for batch in target.batches)}


@torch.no_grad()
def _agreement(reference: ExportWrapper, loaded: Loaded, images: Tensor) -> float | None:
    if loaded.call is None:
        return None
    pairs = [(list(reference(image)), loaded.call(image)) for image in images.split(1)]
    expected, found = ([torch.cat(each) for each in zip(*outputs, strict=True)] for outputs in zip(*pairs, strict=True))
    return agreement(reference.task, reference.raw, expected, found)


def _images(wanted: ExportWrapper, batch: int) -> Tensor:
    generator = torch.Generator().manual_seed(batch)
    images = torch.rand(batch, wanted.channels, *wanted.size, generator=generator)
    return images if wanted.task == 'backbone' else images * 255


def _keep(file: Path, place: Path, log: Callable[[str], None]) -> None:
    """Move a file, or the folder that a format is, to its place."""
    if place.exists():
        log(f'{place} was there already and is replaced')
        if place.is_dir():
            shutil.rmtree(place)
    os.replace(file, place)


def size_of(file: Path) -> int:
    """Bytes of a file, or of the folder that a format is."""
    return sum(each.stat().st_size for each in file.rglob('*') if each.is_file()) if file.is_dir() else file.stat().st_size


@contextmanager
def quiet() -> Iterator[None]:
    """Within it, nothing is printed: converters report in their own ways, from Python and from C++."""
    with open(os.devnull, 'w') as sink, redirect_stdout(sink), redirect_stderr(sink):
        sys.__stdout__.flush()
        sys.__stderr__.flush()
        saved = {number: os.dup(number) for number in (1, 2)}
        try:
            for number in saved:
                os.dup2(sink.fileno(), number)
            yield
        finally:
            for number, copy in saved.items():
                os.dup2(copy, number)
                os.close(copy)
