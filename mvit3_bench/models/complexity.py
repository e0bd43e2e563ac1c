"""Parameters and multiply-adds of a model, layer by layer: as computed, and in the papers' convention.

PyTorch's FLOP counter counts every convolution, linear layer and matrix product that runs; this module adds the papers'
convention. Neither count has element-wise operations: norms, activations, and the products of the separable attention,
which are no matrix products (2d for each pixel and layer).
"""
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from .attention import MultiHeadAttention
from .forward import forward_tensor


@dataclass(frozen=True)
class Complexity:
    """Size and cost of a module.

    Args:
        parameters: Number of its parameters.
        multiply_adds: Multiply-adds of its convolutions, linear layers and matrix products, for one image.
        published: The same in the papers' convention: every bias of a convolution or linear layer counts as one
            multiply-add for each output, and each of the two products of multi-head attention counts as N d^2 for N tokens
            of width d where it takes N^2 d.
    """
    parameters: int
    multiply_adds: int
    published: int


class _Meter:
    """Counts the multiply-adds inside each module, by reading the counter before and after it."""

    def __init__(self, model: nn.Module, counter: FlopCounterMode):
        self.counter = counter
        self.extra = 0  # what the papers' convention adds, so far
        self.started = []  # readings at the start of the modules that are running
        self.counts = {}  # name -> multiply-adds, as computed and in the papers' convention
        self.handles = []
        for name, module in model.named_modules():
            self.handles += [module.register_forward_pre_hook(self._start), module.register_forward_hook(self._stop(name))]

    def _read(self) -> tuple[int, int]:
        true = self.counter.get_total_flops() // 2  # for PyTorch a multiply-add is two operations
        return true, true + self.extra

    def _start(self, *_) -> None:
        self.started.append(self._read())

    def _stop(self, name: str):
        def note(module: nn.Module, inputs: tuple, output: Tensor) -> None:
            if isinstance(module, MultiHeadAttention):
                batch, tokens, dim = output.shape
                self.extra += 2 * batch * tokens * dim * (dim - tokens)
            elif isinstance(module, (nn.Conv2d, nn.Linear)) and module.bias is not None:
                self.extra += output.numel()
            before = self.started.pop(), self.counts.get(name, (0, 0))
            self.counts[name] = tuple(now - start + past for now, start, past in zip(self._read(), *before, strict=True))
        return note

    def stop(self) -> None:
        for handle in self.handles:
            handle.remove()


def at_inference(counts: Mapping[str, Complexity]) -> Complexity:
    """The counts of a model without its auxiliary head, which works in training only; from those of :func:`count`."""
    total, head = counts[''], counts.get('auxiliary_head')
    return replace(total, parameters=total.parameters - head.parameters) if head else total


@torch.no_grad()
def count(model: nn.Module, size: tuple[int, int], channels: int = 3) -> dict[str, Complexity]:
    """Count a model and every module in it.

    Args:
        model: A backbone, a classifier, or a model of OpenMMLab's; it is run once in evaluation mode on a
            blank image. A two-stage detector is counted with the proposals that it makes from that image.
        size: Height and width of the image, in pixels.
        channels: Channels of the image.

    Returns:
        Name of the module -> its counts, in the order of ``model.named_modules()``; ``''`` is the model. A module that did
        not run, such as an auxiliary head, has parameters and no multiply-adds.
    """
    training = [module for module in model.modules() if module.training]
    image = next(model.parameters()).new_zeros(1, channels, *size)
    # the counter knows attention by its matrix products, not by the fused kernel of a CPU
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        meter = _Meter(model, counter)
        model.eval()
        try:
            forward_tensor(model, image)
        finally:
            meter.stop()
            for module in training:
                module.training = True
    modules = dict(model.named_modules())
    for name in reversed(modules):
        if name not in meter.counts:  # OpenMMLab calls the forward() of a head, past its hooks: take what is inside it
            inside = [meter.counts.get(f'{name}.{child}', (0, 0)) for child, _ in modules[name].named_children()]
            meter.counts[name] = tuple(map(sum, zip((0, 0), *inside, strict=True)))
    return {name: Complexity(sum(parameter.numel() for parameter in module.parameters()), *meter.counts[name])
            for name, module in modules.items()}
