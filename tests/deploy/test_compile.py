"""``torch.compile`` takes each network as one graph, at a fixed and a free batch, and computes the same; autocast too."""
import shutil

import pytest
import torch
from backbones import ALL, TYPES, build, every_arch, every_type, image
from test_deploy import deviation, lived_in
from torch._dynamo.testing import CompileCounterWithBackend

from mvit3_bench.deploy import fuse

QUICK = (('v3', 'xxs'), ('v3', '0.5'))  # one of each type: v1 and v2 run the same code with other options
TOLERANCE = 1e-4  # of the standard deviation


@pytest.fixture(autouse=True)
def fresh():
    """Nothing compiled before counts."""
    torch.compiler.reset()


def counted(model, backend='eager'):
    """The model compiled without a compiler, and a counter of the graphs it has made: a break in one would be an error."""
    counter = CompileCounterWithBackend(backend)
    return torch.compile(model, backend=counter, fullgraph=True), counter


@pytest.mark.parametrize('family, arch, fused', [
    pytest.param(*each, fused, marks=() if each in QUICK else pytest.mark.slow) for each in ALL for fused in (False, True)])
def test_one_graph(family, arch, fused):
    """No break in evaluation; a batch of another size makes it free, and whatever follows needs no new graph."""
    model = lived_in(build(family, arch, out_indices=(1, -1))).eval()
    model = fuse(model) if fused else model
    compiled, counter = counted(model)
    with torch.no_grad():
        for batch in (2, 3, 4, 5):
            assert deviation(compiled(image(batch=batch)), model(image(batch=batch))) < TOLERANCE
    assert counter.frame_count == 2


@pytest.mark.parametrize('family, arch', [pytest.param(*each, marks=() if each in QUICK else pytest.mark.slow)
                                          for each in TYPES])
@pytest.mark.parametrize('with_cp', [False, True])
def test_one_graph_in_training(family, arch, with_cp):
    """No break in a training step, recomputed activations or not, and the gradients are those of the model."""
    model = build(family, arch, drop_rate=0.0, with_cp=with_cp)
    compiled, counter = counted(model, 'aot_eager')
    gradients = []
    for each in (model, compiled):
        sum(out.square().mean() for out in each(image())).backward()
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in model.parameters()]))
        model.zero_grad(set_to_none=True)
    assert counter.frame_count == 1
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-4 * gradients[0].abs().max().item())


def check_compiled(family, arch):
    """Inductor's code, with the first layers in chunks, computes what the model computes."""
    if not (shutil.which('g++') or shutil.which('clang++')):
        pytest.skip('torch.compile needs a C++ compiler on a CPU: neither g++ nor clang++ is installed')
    model = lived_in(build(family, arch)).eval()
    compiled = torch.compile(fuse(model), fullgraph=True)
    with torch.no_grad():
        for batch in (1, 3):
            assert deviation(compiled(image(256, 256, batch=batch)), model(image(256, 256, batch=batch))) < TOLERANCE


@pytest.mark.parametrize('family, arch', [('v3', 'xxs'), ('v3', '0.5')])
def test_compiled(family, arch):
    """One of each type."""
    check_compiled(family, arch)


@pytest.mark.slow(reason='each is compiled twice, which takes up to a minute')
@every_arch
def test_compiled_all(family, arch):
    """Every arch."""
    check_compiled(family, arch)


@every_type
@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
@pytest.mark.parametrize('fused', [False, True], ids=['model', 'fused'])
def test_autocast(family, arch, dtype, fused):
    """Mixed precision deviates by rounding only: three digits of bfloat16, four of float16."""
    model = lived_in(build(family, arch)).eval()
    expected = model(image())
    model = fuse(model) if fused else model
    with torch.no_grad(), torch.autocast('cpu', dtype):
        found = [x.float() for x in model(image())]
    assert all(x.isfinite().all() for x in found)
    assert deviation(found, expected) < (0.3 if dtype is torch.bfloat16 else 0.05)


@every_type
def test_autocast_training(family, arch):
    """A step in bfloat16 gives every parameter a finite gradient in float32."""
    model = build(family, arch, drop_rate=0.0)
    with torch.autocast('cpu', torch.bfloat16):
        loss = sum(out.float().square().mean() for out in model(image()))
    loss.backward()
    assert all(parameter.grad.dtype is torch.float32 and parameter.grad.isfinite().all() for parameter in model.parameters())
