"""torch.export: a program for torch of the same version."""
import json
from pathlib import Path

import torch

from ..wrappers import ExportWrapper
from .base import Loaded, Target, capture, described_program


def write(deployed: ExportWrapper, file: Path, notes: dict) -> None:
    """Write a model, with what is known of it as an extra file; without the lines of sources that torch notes, which have
    paths of this machine.
    """
    program = capture(deployed, free_batch=True)
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
            node.meta.pop('stack_trace', None)
    torch.export.save(program, file, extra_files={'mvit3_bench.json': json.dumps(notes)})


def load(file: Path) -> Loaded:
    """Load a program. It may run what is in the file, which has to be one's own: docs/security.md."""
    program = torch.export.load(file)
    module = program.module()
    return Loaded(torch.no_grad()(lambda images: list(module(images))), *described_program(program))


TARGET = Target('.pt2', write, load)
