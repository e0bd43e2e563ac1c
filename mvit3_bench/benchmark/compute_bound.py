"""The compute lower bound: the matrix products and convolutions of a network, recorded while it runs, and run alone.

With these kernels of torch the network cannot be faster; with others, as of a compiler or a runtime, it may be.
"""
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only
from torch.utils.flop_counter import flop_registry

_KERNELS = {torch.ops.aten.convolution: 'convolution', torch.ops.aten.addmm: 'product', torch.ops.aten.mm: 'product',
            torch.ops.aten.bmm: 'product', torch.ops.aten.baddbmm: 'product'}


@dataclass(frozen=True)
class _Operand:
    """A tensor by all that a kernel's speed depends on."""
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device

    def draw(self) -> Tensor:
        return torch.empty_strided(self.shape, self.stride, dtype=self.dtype, device=self.device).normal_()


@dataclass(frozen=True)
class Kernel:
    """One call of an operator.

    Args:
        operator: The operator.
        arguments: Its arguments, with operands in the place of tensors.
        multiply_adds: Its multiply-adds.
    """
    operator: Callable
    arguments: tuple
    multiply_adds: int

    @property
    def kind(self) -> str:
        """``'convolution'`` or ``'product'``."""
        return _KERNELS[self.operator.overloadpacket]


class _Recorder(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if operator.overloadpacket not in _KERNELS:
            with self:
                parts = operator.decompose(*args, **kwargs)  # attention and linear layers into their products
            return operator(*args, **kwargs) if parts is NotImplemented else parts
        result = operator(*args, **kwargs)
        flops = flop_registry[operator.overloadpacket](*args, **kwargs, out_val=result)
        described = tree_map_only(Tensor, lambda x: _Operand(tuple(x.shape), x.stride(), x.dtype, x.device), tuple(args))
        described = tuple(tuple(each) if isinstance(each, list) else each for each in described)
        self.calls.append(Kernel(operator, described, flops // 2))
        return result


@torch.no_grad()
def record(network: nn.Module, images: Tensor) -> Counter[Kernel]:
    """Run a network on images, (B, C, H, W), and count each distinct kernel that it calls; attention by its two products."""
    with sdpa_kernel(SDPBackend.MATH), _Recorder() as recorder:
        network(images)
    return Counter(recorder.calls)


def compute_lower_bound(network: nn.Module, images: Tensor) -> Callable[[Tensor], None]:
    """A function that runs all kernels of a network one after the other, on random operands; its input is ignored."""
    calls = []
    for kernel, times in record(network, images).items():
        arguments = tree_map_only(_Operand, _Operand.draw, kernel.arguments)
        calls += [(kernel.operator, arguments)] * times

    def run(_) -> None:
        for operator, arguments in calls:
            operator(*arguments)
    return run
