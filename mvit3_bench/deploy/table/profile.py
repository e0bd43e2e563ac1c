"""Where the time of a file goes: milliseconds of each kind of operator, as its runtime's own profiler tells."""
import json
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np

from ..targets.onnx import start_session
from ..targets.openvino import compile_model
from .cells import image_of, on_one_core

CALLS = 20  # behind as many that warm up


def profile(form: str, file: str, size: list[int]) -> dict[str, float]:
    """Time one image through a file, on one core.

    Args:
        form: Of ``PROFILERS``.
        file: Of that form.
        size: Height and width.

    Returns:
        Kind of operator -> milliseconds of a call, the most expensive first.
    """
    on_one_core()
    return dict(sorted(PROFILERS[form](file, image_of(size).numpy()).items(), key=lambda each: -each[1]))


def _onnxruntime(file: str, images: np.ndarray) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        session = start_session(file, enable_profiling=True, profile_file_prefix=f'{folder}/profile')
        for _ in range(2 * CALLS):
            session.run(None, {session.get_inputs()[0].name: images})
        events = json.loads(Path(session.end_profiling()).read_text())
    times = defaultdict(list)
    for event in events:
        if event['cat'] == 'Node' and event['name'].endswith('_kernel_time'):
            times[event['args']['op_name'], event['name']].append(event['dur'] / 1e3)
    return _sums((kind, each) for (kind, _), each in times.items())


def _openvino(file: str, images: np.ndarray) -> dict[str, float]:
    request = compile_model(file, PERF_COUNT=True).create_infer_request()
    times = defaultdict(list)
    for _ in range(2 * CALLS):
        request.infer(images)
        for each in request.get_profiling_info():
            if each.status == each.Status.EXECUTED:
                kind = f'{each.node_type}, {each.exec_type.rpartition("_")[2]}' if each.exec_type else each.node_type
                times[kind, each.node_name].append(each.real_time.total_seconds() * 1e3)
    return _sums((kind, each) for (kind, _), each in times.items())


def _sums(nodes) -> dict[str, float]:
    """Kind -> the sum of its nodes' medians, without the calls that warm up."""
    sums = defaultdict(float)
    for kind, times in nodes:
        sums[kind] += float(np.median(times[len(times) // 2:]))
    return dict(sums)


PROFILERS = dict(onnx=_onnxruntime, openvino=_openvino)  # of the formats whose runtimes have one
