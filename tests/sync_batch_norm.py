"""Batch norms over the joint batch of several CPU processes, so that tests can compare two processes with one.

A config imports this file through `custom_imports` and sets ``model_wrapper_cfg=dict(type='mvit3_bench.JointModel')``.
"""
import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.distributed.nn.functional import all_reduce
from torch.nn.modules.batchnorm import _BatchNorm

from mvit3_bench.engine.distributed import DistributedModel
from mvit3_bench.registry import MODEL_WRAPPERS


class JointBatchNorm(nn.BatchNorm2d):
    """Batch norm over the joint batch of all processes, (B, C, H, W) -> (B, C, H, W); in evaluation it is torch's.

    Batches may differ in size. `momentum` must be a number.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        count = torch.tensor(x.numel() / x.size(1), dtype=torch.double)
        dist.all_reduce(count)
        mean = all_reduce(x.double().sum((0, 2, 3))) / count  # in double precision: rounding grows from step to step
        centred = x.double() - mean.view(1, -1, 1, 1)
        var = all_reduce(centred.square().sum((0, 2, 3))) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean.float(), self.momentum)
            self.running_var.lerp_((var * count / (count - 1)).float(), self.momentum)
        out = centred * (var + self.eps).rsqrt().view(1, -1, 1, 1)
        if self.affine:
            out = out * self.weight.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)
        return out.to(x.dtype)


@MODEL_WRAPPERS.register_module()
class JointModel(DistributedModel):
    """The wrapper of distributed training, of a model whose batch norms are :class:`JointBatchNorm`."""

    def __init__(self, module: nn.Module, **kwargs):
        for part in module.modules():
            if isinstance(part, _BatchNorm):
                part.__class__ = JointBatchNorm  # parameters and buffers stay the same ones
        super().__init__(module, **kwargs)
