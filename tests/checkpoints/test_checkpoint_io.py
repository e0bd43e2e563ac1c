"""Checking a checkpoint against a model."""
import pytest
import torch
from torch import nn

from mvit3_bench.checkpoints import io
from mvit3_bench.checkpoints.io import check_fits
from mvit3_bench.errors import CheckpointError


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


class Model(nn.Module):
    """A backbone and a head of so many classes."""

    def __init__(self, width, classes):
        super().__init__()
        self.backbone = nn.Linear(2, width)
        self.head = nn.Linear(width, classes)


@pytest.mark.parametrize('classes', [3, 5])
def test_fine_tuning(tmp_path, monkeypatch, classes):
    """A checkpoint to start from may have another head, of which the log tells; another backbone is refused."""
    lines = []
    monkeypatch.setattr(io, 'print_log', lambda message, **_: lines.append(message))
    torch.save({'state_dict': Model(4, 3).state_dict()}, tmp_path / 'x.pth')
    check_fits(Model(4, classes), tmp_path / 'x.pth', any_head=True)
    assert bool(lines) == (classes != 3) and all('2 of another shape: head' in line for line in lines)
    with pytest.raises(CheckpointError, match='checkpoint of another model'):
        check_fits(Model(6, classes), tmp_path / 'x.pth', any_head=True)
