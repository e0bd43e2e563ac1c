"""Batch norm and SiLU fused into one autograd function for training on a CPU, which needs a third less memory."""
import threading

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.forward_ad import unpack_dual

from .inference import activate, hooked

_held = threading.local()


def _scratch(x: Tensor) -> Tensor:
    """Memory for a map like this one, the same in each call of a thread.

    The C library takes a block above 32 MiB from the system anew, page by page, which takes longer than filling it.
    """
    if type(x) is not Tensor:  # one that has no numbers, for instance
        return torch.empty_like(x)
    held = getattr(_held, 'memory', None)
    if held is None or held.numel() < x.numel() or held.dtype != x.dtype:
        held = _held.memory = x.new_empty(x.numel())
    return held[:x.numel()].as_strided(x.shape, torch.empty_like(x, device='meta').stride())


class _BatchNormSiLU(torch.autograd.Function):
    """Batch norm and SiLU. The backward pass computes the output of the norm again, which is faster than saving it."""

    @staticmethod
    def forward(ctx, x, weight, bias, running_mean, running_var, momentum, eps):
        out, mean, inverse_std = torch.native_batch_norm(x, weight, bias, running_mean, running_var, True, momentum, eps)
        ctx.save_for_backward(x, weight, bias, mean, inverse_std)
        ctx.eps = eps
        return F.silu(out, inplace=True)

    @staticmethod
    def backward(ctx, grad):
        x, weight, bias, mean, inverse_std = ctx.saved_tensors
        if torch.is_grad_enabled():  # a second derivative is wanted
            again = F.silu(F.batch_norm(x, None, None, weight, bias, True, 0.0, ctx.eps))
            return *torch.autograd.grad(again, (x, weight, bias), grad, create_graph=True), None, None, None, None
        normed, *_ = torch.ops.aten.native_batch_norm.out(
            x, weight, bias, mean, inverse_std.pow(-2) - ctx.eps, False, 0.0, ctx.eps,
            out=_scratch(x), save_mean=torch.empty_like(mean), save_invstd=torch.empty_like(mean))
        grad = torch.ops.aten.silu_backward.grad_input(grad, normed, grad_input=normed)
        grads = torch.ops.aten.native_batch_norm_backward(
            grad, x, weight, None, None, mean, inverse_std, True, ctx.eps, ctx.needs_input_grad[:3])
        return *grads, None, None, None, None


def norm_act(x: Tensor, norm: nn.Module, act: nn.Module) -> Tensor:
    """Compute ``act(norm(x))``, (B, C, H, W) -> (B, C, H, W); fused in training on a CPU.

    Only ``nn.BatchNorm2d`` and ``nn.SiLU`` without hooks are fused, and not under torch.compile, which fuses them itself,
    torch.fx, which traces layer by layer, torch.func, or forward differentiation.
    """
    if not (type(norm) is nn.BatchNorm2d and type(act) is nn.SiLU and norm.training
            and isinstance(x, Tensor) and x.device.type == 'cpu'
            and norm.affine and norm.track_running_stats and norm.momentum is not None
            and torch.is_grad_enabled() and not torch.compiler.is_compiling() and not hooked(norm) and not hooked(act)
            and not torch._C._are_functorch_transforms_active()
            and not any(unpack_dual(each).tangent is not None for each in (x, norm.weight, norm.bias))):
        out = norm(x)
        return act(out) if out is x else activate(out, act, norm)
    norm.num_batches_tracked.add_(1)
    return _BatchNormSiLU.apply(x, norm.weight, norm.bias, norm.running_mean, norm.running_var, norm.momentum, norm.eps)
