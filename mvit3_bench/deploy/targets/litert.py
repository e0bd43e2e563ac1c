"""LiteRT (TensorFlow Lite): a flat buffer for one image, run by its interpreter with XNNPACK."""
from pathlib import Path

import torch
from torch import Tensor

from ..wrappers import ExportWrapper
from .base import SETUPTOOLS, Loaded, Target, blank, describe, write_notes


def write(deployed: ExportWrapper, file: Path, notes: dict) -> None:
    """Write a model, whose input is called ``images`` and whose outputs are called ``output_0`` and so on."""
    import litert_torch
    litert_torch.convert(deployed.eval(), sample_kwargs=dict(images=blank(deployed))).export(str(file))
    write_notes(file, notes)


def load(file: Path) -> Loaded:
    """Load a file into the interpreter."""
    from ai_edge_litert.interpreter import Interpreter
    interpreter = Interpreter(str(file), num_threads=torch.get_num_threads())
    runner = interpreter.get_signature_runner()
    described = [{name: describe(each['shape'], each['dtype'].__name__) for name, each in details.items()}
                 for details in (runner.get_input_details(), runner.get_output_details())]

    def call(images: Tensor) -> list[Tensor]:
        outputs = runner(images=images.numpy())
        return [torch.from_numpy(outputs[name]) for name in described[1]]
    return Loaded(call, *described)


TARGET = Target('.tflite', write, load, dict(litert_torch='litert-torch>=0.10', ai_edge_litert='ai-edge-litert>=2.3'),
                (SETUPTOOLS,), 'litert', device=True, finishes=('classification', 'segmentation'))
