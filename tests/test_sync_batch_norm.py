"""Batch norms of two processes with unequal batches are one batch norm over the joint batch."""
import pytest
import torch
from torch import distributed, nn

from mvit3_bench.engine.sync_batch_norm import SyncBatchNorm

SIZES = (3, 5)  # images of each process
OPTIONS = [dict(), dict(momentum=None), dict(affine=False), dict(track_running_stats=False), dict(eps=0.1)]


def batches(dims, rank=None):
    """Three batches (8, 4, ...) of means far from zero and of another scale for each image; or a process's share of them."""
    generator = torch.Generator().manual_seed(dims)
    for _ in range(3):
        x = torch.randn(8, 4, *[6, 5][:dims], generator=generator)
        x = x * torch.arange(1, 9).view(8, *[1] * (dims + 1)) + 20
        grad = torch.randn(x.shape, generator=generator)
        yield (x, grad) if rank is None else (x.split(SIZES)[rank], grad.split(SIZES)[rank])


def steps(norm, data):
    """Outputs and gradients of a norm over some batches, and its state in the end."""
    if norm.affine:
        nn.init.uniform_(norm.weight, 0.5, 2, generator=torch.Generator().manual_seed(0))
        nn.init.normal_(norm.bias, generator=torch.Generator().manual_seed(1))
    outputs = []
    for x, grad in data:
        x = x.clone().requires_grad_()
        out = norm(x)
        out.backward(grad)
        outputs += [out.detach(), x.grad]
    return outputs, [parameter.grad for parameter in norm.parameters()], norm.state_dict()


def one_of_two(rank, folder):
    """What one process computes, for the test to compare."""
    distributed.init_process_group('gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2)
    results = [steps(SyncBatchNorm(4, **options), batches(dims, rank)) for dims in (0, 1, 2) for options in OPTIONS]
    half = SyncBatchNorm(4)
    results.append(half(next(batches(2, rank))[0].bfloat16()).detach())
    results.append(half.eval()(next(batches(2, rank))[0]).detach())
    torch.save(results, f'{folder}/{rank}.pt')
    distributed.destroy_process_group()


def test_joint_batch(tmp_path):
    """Outputs, gradients and running statistics of (B, C), (B, C, L) and (B, C, H, W), with every option."""
    torch.multiprocessing.spawn(one_of_two, (tmp_path,), nprocs=2)
    *two, half, evaluated = zip(*(torch.load(tmp_path / f'{rank}.pt') for rank in (0, 1)), strict=True)
    kinds = {0: nn.BatchNorm1d, 1: nn.BatchNorm1d, 2: nn.BatchNorm2d}
    cases = [(dims, options) for dims in kinds for options in OPTIONS]
    for (dims, options), (first, second) in zip(cases, two, strict=True):
        outputs, grads, state = steps(kinds[dims](4, **options), batches(dims))
        for joint, *shares in zip(outputs, first[0], second[0], strict=True):
            torch.testing.assert_close(torch.cat(shares), joint, rtol=1e-4, atol=1e-5)
        for joint, *shares in zip(grads, first[1], second[1], strict=True):
            torch.testing.assert_close(sum(shares), joint, rtol=1e-4, atol=1e-4)
        for result in (first[2], second[2]):
            assert result.keys() == state.keys()
            for name, joint in state.items():
                torch.testing.assert_close(result[name], joint, rtol=1e-5, atol=1e-5)
    norm = nn.BatchNorm2d(4)
    x = next(batches(2))[0]
    assert half[0].dtype == torch.bfloat16
    torch.testing.assert_close(torch.cat(half), norm(x.bfloat16()).detach(), rtol=2e-2, atol=2e-2)
    torch.testing.assert_close(torch.cat(evaluated), norm.eval()(x).detach(), rtol=1e-2, atol=1e-2)


def test_one_process():
    """Without other processes it is torch's batch norm, to the bit."""
    ours, theirs = (steps(kind(4), batches(2)) for kind in (SyncBatchNorm, nn.BatchNorm2d))
    assert all(torch.equal(a, b) for a, b in zip(ours[0] + ours[1], theirs[0] + theirs[1], strict=True))
    with pytest.raises(ValueError, match='more than 1 value per channel'):
        SyncBatchNorm(4)(torch.ones(1, 4, 1, 1))
