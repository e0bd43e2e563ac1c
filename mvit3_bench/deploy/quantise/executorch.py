"""ExecuTorch in INT8, by the quantiser of XNNPACK."""
from pathlib import Path

import torch
from torch import Tensor

from ..targets import executorch
from ..targets.base import blank, capture
from ..wrappers import ExportWrapper


def modules_of(node: torch.fx.Node) -> set[str]:
    """Names of the modules that a node of a program is in."""
    return {name.removeprefix("L['self'].") for name, _ in node.meta.get('nn_module_stack', {}).values()}


def write_int8(deployed: ExportWrapper, file: Path, notes: dict, images: Tensor, keep: tuple[str, ...]) -> None:
    """Write a model whose operators of XNNPACK are of INT8 where it has them so; arguments as of ONNX."""
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import XNNPACKQuantizer, get_symmetric_quantization_config
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    quantiser = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
    quantiser.set_filter_function(lambda node: not modules_of(node) & set(keep))
    prepared = prepare_pt2e(capture(deployed, free_batch=False).module(), quantiser)
    with torch.no_grad():
        for image in images.split(1):
            prepared(image)
    executorch.write_program(torch.export.export(convert_pt2e(prepared), (blank(deployed),)), file, notes)
