"""What ``mvit3 leaderboard`` has measured: the file of it, and a row for each model of it. Needs nothing but Python.

Latencies of models that were measured hours apart are comparable through an anchor, a model that was timed alternately with
each of them: a latency here is the ratio to the anchor's, times the anchor's median over the run, or over a run elsewhere.
"""
import json
from dataclasses import dataclass
from pathlib import Path

from ..errors import MissingFileError, ResultError
from .models import Model, models

FILE = Path(__file__).with_name('measured.json')
RUNTIMES = dict(onnxruntime='ONNX Runtime', openvino='OpenVINO', compile='compiled PyTorch')
ORIGINS = dict(timm='timm', published='authors')  # of a model's top-1 -> as tables call it
HEADS = dict(cls='', det='ssdlite', seg='deeplabv3')  # task -> its head in the names of cells: onnxruntime_ssdlite/1
_HEAD_TITLES = dict(ssdlite='SSDLite', deeplabv3='DeepLabv3')
_FIELDS = ('machine', 'threads', 'command', 'date', 'anchor', 'anchor_spread', 'models')


@dataclass(frozen=True)
class Row:
    """A model in one runtime at one batch size.

    Args:
        model: What is published of it.
        parameters: Of the built model, with the head.
        multiply_adds: The same, of one image.
        latency_ms: Of a call.
    """
    model: Model
    parameters: int
    multiply_adds: int
    latency_ms: float


def read(file: Path | None = None) -> dict:
    """A file of ``mvit3 leaderboard``.

    Args:
        file: None: the one of this package.

    Raises:
        MissingFileError: It is not there.
        ResultError: It is another file.
    """
    file, fix = file or FILE, 'wanted: a file that mvit3 leaderboard has written'
    try:
        content = json.loads(file.read_text(encoding='utf-8'))
    except OSError as error:
        raise MissingFileError(f'{file} cannot be read: {error.strerror}', file, fix) from error
    except ValueError as error:
        raise ResultError(f'{file} is no json: {error}', file, fix) from error
    if missing := set(_FIELDS) - set(content if isinstance(content, dict) else ()):
        raise ResultError(f'{file}: field {min(missing)!r} is missing', file, fix)
    try:
        for cell in cells(content):
            rows(content, cell)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ResultError(f'{file}: models or anchor_spread: {type(error).__name__} {error}', file, fix) from error
    return content


def cells(measured: dict) -> list[str]:
    """What was measured, classifiers first: ``onnxruntime/1``, ``onnxruntime_ssdlite/1``; runtime, head and batch size."""
    found = {(form, batch) for each in measured['models'].values() for form, its in each['cells'].items() for batch in its}
    runtimes, heads = list(RUNTIMES), list(HEADS.values())

    def place(cell: tuple[str, str]) -> tuple[int, int, int]:
        runtime, _, head = cell[0].partition('_')
        return heads.index(head), runtimes.index(runtime), int(cell[1])

    return ['/'.join(cell) for cell in sorted(found, key=place)]


def title(cell: str) -> str:
    """A cell as a page names it: ``onnxruntime_ssdlite/1`` is ONNX Runtime, SSDLite, batch 1."""
    form, batch = cell.split('/')
    runtime, _, head = form.partition('_')
    return f'{RUNTIMES[runtime]}, ' + (f'{_HEAD_TITLES[head]}, ' if head else '') + f'batch {batch}'


def machine(measured: dict) -> str:
    """What it was measured on and when, in one line."""
    return f'{measured["machine"]["cpu"]}, threads: {measured["threads"]}, {measured["date"]}'


def anchor_ms(measured: dict, cell: str) -> float:
    """The anchor's median latency over the run: as a classifier, with which heads are compared, too."""
    form, batch = cell.split('/')
    return measured['anchor_spread'][f'{form.partition("_")[0]}/{batch}']['median_ms']


def rows(measured: dict, cell: str, anchor: float | None = None) -> list[Row]:
    """A row for each model that was measured in a cell and has a published accuracy.

    Args:
        measured: See :func:`read`.
        cell: One of :func:`cells`.
        anchor: The anchor's latency in milliseconds on another machine; None: that of the run.
    """
    anchor, (form, batch) = anchor or anchor_ms(measured, cell), cell.split('/')
    found, known = [], {each.build: each for each in models() if each.build}
    for build, counted in measured['models'].items():
        figures = counted['cells'].get(form, {}).get(batch)
        if figures and build in known:
            counted = counted | figures  # with a head, the counts are those of the model with it
            found.append(Row(known[build], counted['parameters'], counted['multiply_adds'], figures['ratio'] * anchor))
    return found


def backbones(measured: dict) -> list[Row]:
    """A row for each model that was measured as a classifier, in the first of :func:`cells` that has it."""
    found = {}
    for cell in cells(measured):
        if '_' not in cell:
            for row in rows(measured, cell):
                found.setdefault(row.model, row)
    return list(found.values())


def ours(row: Row) -> bool:
    """Whether it is a MobileViTv3."""
    return row.model.build.startswith('mvit3_')
