"""Synchronised batch norm without a GPU, which torch's own needs."""
import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm


class _JointBatchNorm(torch.autograd.Function):
    """Each process computes with its own pixels; what meets are counts, means, variances, and two sums on the way back."""

    @staticmethod
    def forward(ctx, x, weight, bias, eps):
        dims = [dim for dim in range(x.dim()) if dim != 1]
        var, mean = torch.var_mean(x.float(), dims, correction=0)
        own = torch.cat([mean, var, mean.new_tensor([x.numel() // x.size(1)])])
        everyone = own.new_empty(dist.get_world_size(), len(own))
        dist.all_gather(list(everyone.unbind()), own)
        counts, means, variances = everyone[:, -1:], *everyone[:, :-1].chunk(2, dim=1)
        count = counts.sum()
        mean = (counts * means).sum(0) / count
        var = (counts * (variances + (means - mean).square())).sum(0) / count
        ctx.save_for_backward(x, weight, mean, var, count)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, var, count)
        return torch.native_batch_norm(x, weight, bias, mean, var, False, 0.0, eps)[0], mean, var, count

    @staticmethod
    @once_differentiable
    def backward(ctx, grad, *_):
        x, weight, mean, var, count = ctx.saved_tensors
        # as if mean and variance were constants; the last two are the sums of grad * normed(x) and of grad in each channel
        grad_x, grad_weight, grad_bias = torch.ops.aten.native_batch_norm_backward(
            grad, x, weight, mean, var, None, None, False, ctx.eps, (True, True, True))
        sums = torch.stack([grad_weight, grad_bias])
        dist.all_reduce(sums)
        inverse_std = (var + ctx.eps).rsqrt()
        scale = inverse_std / count * (1 if weight is None else weight)
        shape = (1, -1, *[1] * (x.dim() - 2))
        slope, offset, mean = (vector.view(shape) for vector in (scale * inverse_std * sums[0], scale * sums[1], mean))
        grad_x = (grad_x - offset - (x - mean) * slope).to(x.dtype)
        # those of the parameters stay this process's own, since its wrapper averages them with all others
        return grad_x, *((grad_weight, grad_bias) if weight is not None else (None, None)), None


class SyncBatchNorm(_BatchNorm):
    """Batch norm over the joint batch of all processes, on any device; in evaluation, or in a process alone, torch's.

    Mean, variance and running statistics are those of one batch norm over all batches together, of whatever sizes.
    Arguments, state dict and shapes, (B, C, ...) -> (B, C, ...), are those of ``nn.BatchNorm2d``. It is no
    ``nn.SyncBatchNorm``, which torch's distributed model refuses on a CPU.

    Raises:
        ValueError: The input has one dimension, or, in training, but one value per channel and no other process.
    """

    def _check_input_dim(self, x: Tensor) -> None:
        if x.dim() < 2:
            raise ValueError(f'expected (B, C, ...), got {tuple(x.shape)}')

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and dist.is_initialized() and dist.get_world_size() > 1):
            return super().forward(x)
        self._check_input_dim(x)
        out, mean, var, count = _JointBatchNorm.apply(x, self.weight, self.bias, self.eps)
        if self.track_running_stats:
            self.num_batches_tracked.add_(1)
            share = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean, share)
            self.running_var.lerp_(var * count / (count - 1), share)
        return out


def synchronise_on_cpu(model: nn.Module) -> None:
    """Let, in place, every ``nn.SyncBatchNorm`` of a model work on a CPU. Parameters and buffers stay the same ones."""
    for module in model.modules():
        if type(module) is nn.SyncBatchNorm:
            module.__class__ = SyncBatchNorm  # both are a `_BatchNorm` and have no state besides
