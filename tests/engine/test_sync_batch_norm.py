"""The batch norm with which tests compare two CPU processes with one is torch's over the joint batch."""
import torch
from sync_batch_norm import JointBatchNorm
from torch import distributed, nn

SIZES = (3, 5)  # images of each process
OPTIONS = [dict(), dict(affine=False), dict(eps=0.1)]


def batches(rank=None):
    """Three batches (8, 4, 6, 5) with means far from zero and a scale for each image; or a process's share of them."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        x = torch.randn(8, 4, 6, 5, generator=generator) * torch.arange(1, 9).view(8, 1, 1, 1) + 20
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
    torch.save([steps(JointBatchNorm(4, **options), batches(rank)) for options in OPTIONS], f'{folder}/{rank}.pt')
    distributed.destroy_process_group()


def test_joint_batch(tmp_path):
    """Outputs, gradients and running statistics of two processes with unequal batches are those of one batch norm."""
    torch.multiprocessing.spawn(one_of_two, (tmp_path,), nprocs=2)
    pairs = zip(*(torch.load(tmp_path / f'{rank}.pt') for rank in (0, 1)), strict=True)
    for options, (first, second) in zip(OPTIONS, pairs, strict=True):
        outputs, grads, state = steps(nn.BatchNorm2d(4, **options), batches())
        for joint, *shares in zip(outputs, first[0], second[0], strict=True):
            torch.testing.assert_close(torch.cat(shares), joint, rtol=1e-4, atol=1e-5)
        for joint, *shares in zip(grads, first[1], second[1], strict=True):
            torch.testing.assert_close(sum(shares), joint, rtol=1e-4, atol=1e-4)
        for result in (first[2], second[2]):
            assert result.keys() == state.keys()
            for name, joint in state.items():
                torch.testing.assert_close(result[name], joint, rtol=1e-5, atol=1e-5)
