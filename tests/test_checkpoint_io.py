"""Checking a checkpoint against a model."""
import pytest
import torch
from torch import nn

from mvit3_bench.checkpoints.io import CheckpointError, check_fits


@pytest.mark.parametrize('fits', [True, False])
def test_distributed_model(tmp_path, fits):
    """A model wrapped for distributed training is checked as the model it is."""
    from mmengine.model import MMDistributedDataParallel
    torch.distributed.init_process_group('gloo', store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        model = MMDistributedDataParallel(nn.Linear(2, 3))
        torch.save({'state_dict': (model.module if fits else nn.Linear(2, 4)).state_dict()}, tmp_path / 'x.pth')
        if fits:
            check_fits(model, tmp_path / 'x.pth')
        else:
            with pytest.raises(CheckpointError, match='of another shape'):
                check_fits(model, tmp_path / 'x.pth')
    finally:
        torch.distributed.destroy_process_group()
