"""ExecuTorch: a program for one image, whose operators XNNPACK runs where it has them."""
from pathlib import Path

import torch
from torch import Tensor

from ..wrappers import ExportWrapper
from .base import SETUPTOOLS, Loaded, Target, capture, describe, write_notes


def write(deployed: ExportWrapper, file: Path, notes: dict) -> None:
    """Write a model."""
    write_program(capture(deployed, free_batch=False), file, notes)


def write_program(captured: torch.export.ExportedProgram, file: Path, notes: dict) -> None:
    """Write a program of torch.export, its operators given to XNNPACK where it has them."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower
    program = to_edge_transform_and_lower(captured, partitioner=[XnnpackPartitioner()])
    file.write_bytes(program.to_executorch().buffer)
    write_notes(file, notes)


def load(file: Path) -> Loaded:
    """Load a program into the runtime."""
    from executorch.extension.pybindings.portable_lib import _unsafe_reset_threadpool
    from executorch.runtime import Runtime
    _unsafe_reset_threadpool(torch.get_num_threads())  # unsafe while another model runs
    method = Runtime.get().load_program(file).load_method('forward')
    meta = method.metadata

    def described(kind: str) -> dict[str, str]:
        infos = [getattr(meta, f'{kind}_tensor_meta')(index) for index in range(getattr(meta, f'num_{kind}s')())]
        return {f'{kind}_{index}': describe(info.sizes(), _TYPES.get(info.dtype(), str(info.dtype())))
                for index, info in enumerate(infos)}

    def call(images: Tensor) -> list[Tensor]:
        return [each.clone() for each in method.execute([images.contiguous()])]
    return Loaded(call, described('input'), described('output'))


_TYPES = {4: 'int64', 6: 'float32'}  # of torch's numbers

TARGET = Target('.pte', write, load, dict(executorch='executorch>=1.5'), (SETUPTOOLS,), 'executorch', device=True,
                finishes=('classification', 'segmentation'))
