"""Evaluation without gradients on a CPU: the same numbers in fewer passes over the maps, without a copy of the model.

Batch norms are folded into the weights of each call, activations and sums work in place, and a batch whose first maps do not
fit into the cache goes through the first layers in parts. All of this is between modules, and only between those whose
types are known here; where there are others, or somebody looks by a hook, a tracer or a compiler, each is called as ever.
"""
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

# Of the widest map: half of a usual third-level cache. Besides, glibc maps every block above 32 MiB anew, page by page,
# which takes longer than computing what stands in it.
CACHE_BYTES = 2**24
# hooks of every module, which torch adds to these
_GLOBAL_HOOKS = (torch_module._global_forward_hooks, torch_module._global_forward_pre_hooks,
                 torch_module._global_backward_hooks, torch_module._global_backward_pre_hooks)
_IN_PLACE = {nn.SiLU: F.silu, nn.ReLU: F.relu, nn.ReLU6: F.relu6, nn.Hardswish: F.hardswish}
# types that give a map that they do not keep, image by image in evaluation mode, by their children if they have some
_KNOWN = {nn.Conv2d, nn.Linear, nn.BatchNorm2d, nn.SyncBatchNorm, nn.GroupNorm, nn.LayerNorm, nn.Dropout, nn.Identity,
          nn.Sequential, nn.GELU, nn.LeakyReLU, *_IN_PLACE}


def known(layer: type[nn.Module]) -> type[nn.Module]:
    """Note that a type is one of those whose modules may be computed together. A subclass of it is not."""
    _KNOWN.add(layer)
    return layer


def hooked(module: nn.Module) -> bool:
    """Whether a module has hooks of a forward or backward pass, those of all modules included, or a forward put into it."""
    return any((module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks,
                *_GLOBAL_HOOKS, 'forward' in vars(module)))


def unobserved(x: Tensor, *modules: nn.Module) -> bool:
    """Whether modules may be computed together: on a CPU, no gradient is wanted, and nobody sees what is between them."""
    return (isinstance(x, Tensor) and x.device.type == 'cpu' and not torch.is_grad_enabled()
            and not torch.compiler.is_compiling() and not torch.jit.is_tracing() and all(map(_closed, modules)))


def _closed(module: nn.Module) -> bool:
    """Whether a module and all in it are of known types, without hooks."""
    return type(module) in _KNOWN and not hooked(module) and all(map(_closed, module._modules.values()))


def foldable(x: Tensor, conv: nn.Module, norm: nn.Module) -> bool:
    """Whether a norm can be folded into the convolution before it, in the precision of both."""
    return (type(conv) is nn.Conv2d and conv.bias is None and type(norm) in (nn.BatchNorm2d, nn.SyncBatchNorm)
            and type(conv.weight) is nn.Parameter and not norm.training and norm.affine and norm.running_mean is not None
            and x.dtype == conv.weight.dtype == norm.weight.dtype and x.dtype in (torch.float32, torch.float64)
            and not torch.is_autocast_enabled('cpu'))


def conv_norm(x: Tensor, conv: nn.Conv2d, norm: nn.Module) -> Tensor:
    """Compute ``norm(conv(x))`` by one convolution, whose weights are folded anew in each call: they cannot be stale."""
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return conv._conv_forward(x, conv.weight * scale.view(-1, 1, 1, 1), norm.bias - norm.running_mean * scale)


def activate(x: Tensor, act: nn.Module, *before: nn.Module) -> Tensor:
    """Compute ``act(x)``, in place where that is unseen.

    Args:
        x: A map that nothing else holds, but for the modules before.
        act: The activation.
        before: The modules that made the map.
    """
    if type(act) in _IN_PLACE and unobserved(x, act, *before):
        return _IN_PLACE[type(act)](x, inplace=True)
    return act(x)


def add(x: Tensor, out: Tensor, *before: nn.Module) -> Tensor:
    """Compute ``x + out``, in the memory of ``out`` where that is unseen.

    Args:
        x: A map.
        out: Another of the same shape, which nothing else holds, but for the modules before.
        before: The modules that made it.
    """
    if unobserved(out, *before) and out.dtype == x.dtype and out is not x:
        return out.add_(x)
    return x + out


def density(modules: Iterable[nn.Module]) -> float:
    """Numbers in the widest map that convolutions make one after the other, for each pixel of an image."""
    widest, stride = 0.0, 1
    for conv in modules:
        if isinstance(conv, nn.Conv2d):
            stride *= conv.stride[0]
            widest = max(widest, conv.out_channels / stride**2)
    return widest


def in_parts(function: Callable[[Tensor], Tensor], x: Tensor, density: float) -> Tensor:
    """Apply layers to as many images at a time as the cache holds, (B, C, H, W) -> (B, C', H', W'), with equal outputs.

    Args:
        function: The layers.
        x: Images.
        density: Numbers in the widest map for each pixel of an image.
    """
    batch, _, height, width = x.shape
    images = max(1, int(CACHE_BYTES / max(1, density * height * width * x.element_size())))
    return torch.cat([function(part) for part in x.split(images)]) if images < batch else function(x)
