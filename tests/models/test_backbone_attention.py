"""Attention against attention by the book, and what operators it runs."""
import pytest
import torch
from backbones import build, every_type, run
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mvit3_bench.models.attention import SeparableSelfAttention
from mvit3_bench.models.blocks import MobileViTBlock

SUB_GRIDS = [(i, j) for i in range(2) for j in range(2)]


def naive_separable(attention: SeparableSelfAttention, x: torch.Tensor) -> torch.Tensor:
    """Separable self-attention by the book: unfold into (B, d, 4, N), attend over N, fold back."""
    patches = torch.stack([x[:, :, i::2, j::2].flatten(2) for i, j in SUB_GRIDS], dim=2)
    dim = x.shape[1]
    query, key, value = attention.qkv(patches).split([1, dim, dim], dim=1)
    context = (query.softmax(dim=-1) * key).sum(dim=-1, keepdim=True)
    patches = attention.proj(value.relu() * context)
    out = torch.empty_like(x)
    for index, (i, j) in enumerate(SUB_GRIDS):
        out[:, :, i::2, j::2] = patches[:, :, index].view_as(out[:, :, i::2, j::2])
    return out


@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize('size', [(8, 12), (2, 2), (6, 2)], ids=str)
def test_separable_attention_equals_unfolding(size, memory_format):
    """The strided form equals the unfolded one, values and gradients."""
    torch.manual_seed(0)
    attention = SeparableSelfAttention(16).double()
    x = torch.randn(3, 16, *size, dtype=torch.float64).to(memory_format=memory_format).requires_grad_()
    out, expected = attention(x), naive_separable(attention, x)
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-12)
    weight = torch.randn_like(out)
    grads = [torch.autograd.grad((y * weight).sum(), [x, *attention.parameters()]) for y in (out, expected)]
    torch.testing.assert_close(*grads, rtol=0, atol=1e-10)


def test_no_images():
    """A batch may be empty."""
    assert SeparableSelfAttention(8)(torch.rand(0, 8, 4, 4)).shape == (0, 8, 4, 4)


def test_traced_for_another_size():
    """A graph of torch.jit.trace, which has the sizes in it, refuses a map that it would get wrong."""
    network = torch.jit.trace(build('v3', '0.5', out_indices=(4,)).eval(), torch.rand(1, 3, 64, 64))
    with pytest.raises(RuntimeError, match='invalid for input of size'):
        network(torch.rand(1, 3, 96, 64))


def test_separable_attention_of_large_scores():
    """Scores of 1e4 neither overflow nor become NaN: the softmax is a stable one."""
    torch.manual_seed(0)
    attention = SeparableSelfAttention(8)
    x = 1e4 * torch.randn(1, 8, 4, 4)
    out = attention(x)
    assert out.isfinite().all()
    torch.testing.assert_close(out, naive_separable(attention, x), rtol=1e-5, atol=0.1)


@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize('size', [(8, 12), (2, 2), (6, 2)], ids=str)
def test_attend_equals_four_sub_grids(size, memory_format):
    """The v1 type's attention equals the transformer run on each of the four strided sub-grids by itself."""
    torch.manual_seed(0)
    block = MobileViTBlock(8, 16, 32, 2, depthwise_local=True, fuse_local=True, pointwise_fusion=True,
                           input_residual=True, norm_layer=nn.BatchNorm2d, act_layer=nn.SiLU, drop_rate=0.0,
                           attn_drop_rate=0.0).double()
    x = torch.randn(3, 16, *size, dtype=torch.float64).to(memory_format=memory_format)
    expected = torch.empty_like(x)
    for i, j in SUB_GRIDS:
        grid = x[:, :, i::2, j::2]
        tokens = block.transformer(grid.flatten(2).transpose(1, 2))
        expected[:, :, i::2, j::2] = tokens.transpose(1, 2).reshape(grid.shape)
    torch.testing.assert_close(block.attend(x), expected, rtol=0, atol=1e-10)


class Watch(TorchDispatchMode):
    """Notes the name and the highest rank of the outputs of every operator that runs."""

    def __init__(self):
        super().__init__()
        self.ranks = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        ranks = [leaf.dim() for leaf in tree_leaves(out) if isinstance(leaf, torch.Tensor)]
        self.ranks[str(func)] = max([self.ranks.get(str(func), 0), *ranks])
        return out

    def unfolding(self) -> list[str]:
        """The operators that fold or unfold."""
        return [name for name in self.ranks if any(word in name for word in ('fold', 'im2col', 'col2im'))]


def test_watch_sees_unfolding():
    """The watch used below does see an unfold, a fold and a tensor of rank 6."""
    x = torch.rand(1, 2, 4, 4)
    with Watch() as watch:
        nn.functional.fold(nn.functional.unfold(x, 2, stride=2), (4, 4), 2, stride=2)
        x.unfold(2, 2, 2).unfold(3, 2, 2)
    assert len(watch.unfolding()) == 3 and max(watch.ranks.values()) == 6


@pytest.mark.parametrize('size', [(64, 64), (65, 97)], ids=['even', 'odd'])
@every_type
def test_no_unfolding_and_no_rank_above_five(family, arch, size):
    """No operator of the forward pass folds or unfolds or returns a tensor of more than rank 5."""
    model = build(family, arch, out_indices=(-1,))
    with Watch() as watch:
        run(model, *size)
    assert any('convolution' in name for name in watch.ranks)
    assert not watch.unfolding()
    assert {name: rank for name, rank in watch.ranks.items() if rank > 5} == {}
