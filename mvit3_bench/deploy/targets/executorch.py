"""ExecuTorch: a program for one image, whose operators XNNPACK runs where it has them."""
from pathlib import Path

from torch import Tensor

from ..wrappers import ExportWrapper
from .base import Loaded, Target, capture, describe, write_notes


def write(deployed: ExportWrapper, file: Path, notes: dict) -> None:
    """Write a model."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower
    program = to_edge_transform_and_lower(capture(deployed, free_batch=False), partitioner=[XnnpackPartitioner()])
    file.write_bytes(program.to_executorch().buffer)
    write_notes(file, notes)


def load(file: Path) -> Loaded:
    """Load a program into the runtime."""
    from executorch.runtime import Runtime
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

TARGET = Target('.pte', write, load, dict(executorch='executorch>=1.5'), 'executorch', device=True,
                finishes=('classification', 'segmentation'))
