"""Fully sharded data parallel training, by MMEngine's strategy."""
from contextlib import nullcontext

import torch
from mmengine import _strategy as strategies
from mmengine.dist import is_main_process
from mmengine.model.wrappers import MMFullyShardedDataParallel
from torch import Tensor, nn
from torch.distributed.fsdp import FullyShardedDataParallel

from ..checkpoints.atomic import whole
from ..checkpoints.io import CheckpointError
from ..registry import MODEL_WRAPPERS, STRATEGIES
from .distributed import MeanLosses
from .sync_batch_norm import synchronise_on_cpu


@MODEL_WRAPPERS.register_module()
class FullyShardedModel(MeanLosses, MMFullyShardedDataParallel):
    """MMEngine's wrapper, which reports the mean losses of all processes."""


@STRATEGIES.register_module()
class FSDPStrategy(strategies.FSDPStrategy):
    """MMEngine's strategy, which here synchronises batch norms, needs no GPU, and resumes with today's torch.

    A checkpoint is one file, written as a whole or not at all, with the weights of the whole model, as of any other run.

    Args:
        model_wrapper: Arguments of :class:`FullyShardedModel`, for instance ``dict(sharding_strategy='SHARD_GRAD_OP')``.
        **kwargs: ``sync_bn`` and others as in MMEngine, but not ``state_dict_cfg``.
    """

    def __init__(self, *, model_wrapper: dict | None = None, **kwargs):
        wrapper = dict(type='mvit3_bench.FullyShardedModel')
        if not torch.cuda.is_available():
            wrapper['device_id'] = 'cpu'
        super().__init__(model_wrapper=wrapper | dict(model_wrapper or {}), state_dict_cfg='full', **kwargs)
        # torch 2.14 gathers one part of the state after the other in the same memory, from which offloading copies
        # nothing where it is the CPU's already: all parts would be the last one
        self.optim_state_dict_config.offload_to_cpu = torch.cuda.is_available()

    def _wrap_model(self, model: nn.Module) -> nn.Module:
        model = self.convert_model(model)  # MMEngine's takes `sync_bn` and leaves it out
        if not torch.cuda.is_available():
            synchronise_on_cpu(model)
        return super()._wrap_model(model)

    def model_state_dict(self) -> dict[str, Tensor]:
        """The weights of the whole model, in the first process; they are plain tensors, since FSDP puts marks on its own."""
        return {name: value.detach() for name, value in super().model_state_dict().items()}

    def save_checkpoint(self, filename: str, **kwargs) -> None:
        """Write a checkpoint; arguments as in MMEngine.

        Raises:
            WriteError: It cannot be written.
        """
        with whole(filename) if is_main_process() else nullcontext() as file:  # all have to take part, one writes
            super().save_checkpoint(file.name if file else filename, **kwargs)

    def load_optim_state_dict(self, state_dict: dict) -> None:
        """Load the optimiser's state as of the whole model, as :meth:`save_checkpoint` writes it.

        Raises:
            CheckpointError: A run without FSDP wrote it.
        """
        if not all(isinstance(name, str) for name in state_dict['state']):
            raise CheckpointError('the checkpoint was written by a run without FSDP, and FSDP cannot take up the state of '
                                  'its optimiser: resume it without runner_type, or start from its weights, '
                                  'load_from=CHECKPOINT')
        # torch 2.1 has changed the order of these arguments
        self.optim_wrapper.load_state_dict(FullyShardedDataParallel.optim_state_dict_to_load(
            model=self.model, optim=self.optim_wrapper.optimizer, optim_state_dict=state_dict))
