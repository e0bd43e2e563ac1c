"""Running statistics of two processes become their mean before a validation, and those of the average with them."""
from types import SimpleNamespace

import torch
from mmengine.hooks import EMAHook
from torch import distributed, nn

from mvit3_bench.engine.hooks.sync_buffers import SyncBuffersHook


def one_of_two(rank, folder):
    """What one process has after the hook."""
    distributed.init_process_group('gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2)
    model, average = (nn.BatchNorm2d(3) for _ in range(2))
    model.running_mean.fill_(1 + 2 * rank)
    average.running_mean.fill_(10 + 20 * rank)
    average.running_var.fill_(rank)
    ema = EMAHook()
    ema.ema_model = average
    SyncBuffersHook().before_val_epoch(SimpleNamespace(model=model, hooks=[ema]))
    torch.save((model.state_dict(), average.state_dict()), f'{folder}/{rank}.pt')
    distributed.destroy_process_group()


def test_mean_of_two(tmp_path):
    """Both processes have the mean of both, in the model and in the average; counts stay whole numbers."""
    torch.multiprocessing.spawn(one_of_two, (tmp_path,), nprocs=2)
    for rank in (0, 1):
        model, average = torch.load(tmp_path / f'{rank}.pt')
        assert model['running_mean'].tolist() == [2] * 3 and average['running_mean'].tolist() == [20] * 3
        assert average['running_var'].tolist() == [0.5] * 3
        assert all(state['num_batches_tracked'].dtype == torch.long for state in (model, average))
