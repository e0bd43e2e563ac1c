"""The ways to run a network; each backend prepares one call on a given batch."""
import copy
import functools
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..deploy.layers import replace_layers
from ..deploy.targets.onnx import start_session
from ..deploy.targets.onnx import write as write_onnx
from ..deploy.targets.openvino import compile_model
from ..deploy.wrappers import ExportWrapper
from ..errors import first_line
from .compute_bound import compute_lower_bound
from .losses import loss_of
from .models import TimedModel

Call = Callable[[], object]
Outputs = Callable[[], tuple[Tensor, ...]]
Run = Callable[[np.ndarray], list[np.ndarray]]  # of a runtime: images -> outputs
DTYPES = dict(fp32=torch.float32, fp16=torch.float16, bf16=torch.bfloat16)
LAYOUTS = dict(channels_last=torch.channels_last, contiguous=torch.contiguous_format)


class Skipped(Exception):
    """A network cannot be run by a backend for a reason outside this package; the message is the reason."""


def _moved(network: nn.Module, images: Tensor, dtype: str, layout: str) -> tuple[nn.Module, Tensor]:
    """A copy of a network on the device of the images, and the images, in a type and a layout."""
    to = dict(device=images.device, dtype=DTYPES[dtype], memory_format=LAYOUTS[layout])
    return copy.deepcopy(network).to(**to), images.to(**to)


def _inference(network: Callable, images: Tensor) -> Call:
    def call():
        with torch.inference_mode():
            return network(images)
    return call


def eager(model: TimedModel, images: Tensor, dtype: str, layout: str) -> tuple[Call, Outputs]:
    """The model as it is, in evaluation mode."""
    call = _inference(*_moved(model.network, images, dtype, layout))
    return call, call


def deploy(model: TimedModel, images: Tensor, dtype: str, layout: str) -> tuple[Call, Outputs]:
    """The inference copy."""
    call = _inference(*_moved(model.deployed, images, dtype, layout))
    return call, call


def compiled(model: TimedModel, images: Tensor, dtype: str, layout: str) -> tuple[Call, Outputs]:
    """The inference copy through ``torch.compile``, for the shape of this batch.

    Raises:
        Skipped: It cannot be compiled, for instance without a C++ compiler.
    """
    network, images = _moved(model.deployed, images, dtype, layout)
    # all networks share one forward(): with torch's limit the ninth would silently run uncompiled
    torch._dynamo.config.recompile_limit = 1024
    call = _inference(torch.compile(network, dynamic=False), images)
    try:
        call()
    except Exception as error:  # whatever dynamo, inductor or the compiler raise
        raise Skipped(f'torch.compile failed: {first_line(error)}') from error
    return call, call


def graphs(model: TimedModel, images: Tensor, dtype: str, layout: str) -> tuple[Call, Outputs]:
    """The inference copy as a CUDA graph."""
    call = _inference(*_moved(model.deployed, images, dtype, layout))
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # libraries choose and load their kernels outside the capture
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = call()

    def check() -> tuple[Tensor, ...]:
        graph.replay()
        return outputs
    return graph.replay, check


def to_onnx(model: TimedModel) -> bytes:
    """The inference copy as ONNX, images -> output of `forward_tensor`; the batch is free.

    Raises:
        Skipped: It cannot be exported.
    """
    _, *size = model.size
    network = replace_layers(copy.deepcopy(model.deployed))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter('ignore')
        file = Path(folder) / 'model.onnx'
        try:
            write_onnx(ExportWrapper(network, size, raw=True), file, {})
        except Exception as error:  # exporters raise whatever the operators of a model meet
            raise Skipped(f'images of {size[0]}x{size[1]} cannot be exported to ONNX: {first_line(error)}') from error
        return file.read_bytes()


_onnx = functools.cache(to_onnx)


def load_onnxruntime(onnx: bytes | Path) -> Run:
    """What runs a file of ONNX, or its content, in ONNX Runtime, on as many threads as torch."""
    session = start_session(onnx)
    name = session.get_inputs()[0].name
    return lambda images: session.run(None, {name: images})


def load_openvino(onnx: Path) -> Run:
    """What runs a file of ONNX in OpenVINO, in float32, on as many threads as torch."""
    import openvino
    network = compile_model(openvino.convert_model(onnx))
    return lambda images: list(network(images).values())


def calls_of(run: Run, images: Tensor) -> tuple[Call, Outputs]:
    """The call of a runtime on a batch, and its outputs."""
    array = images.numpy()
    return lambda: run(array), lambda: tuple(torch.from_numpy(each.copy()) for each in run(array))


def onnxruntime(model: TimedModel, images: Tensor, dtype: str, layout: str) -> tuple[Call, Outputs]:
    """The inference copy in ONNX Runtime."""
    return calls_of(load_onnxruntime(_onnx(model)), images)


def openvino(model: TimedModel, images: Tensor, dtype: str, layout: str) -> tuple[Call, Outputs]:
    """The inference copy in OpenVINO."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / 'model.onnx'
        file.write_bytes(_onnx(model))
        return calls_of(load_openvino(file), images)


def train(model: TimedModel, images: Tensor, dtype: str, layout: str) -> tuple[Call, Outputs]:
    """One step of training without dropout: forward, loss, backward, optimiser. In half precision by autocast.

    Raises:
        Skipped: A batch of this size cannot be trained on.
    """
    network, images = _moved(model.network, images, 'fp32', layout)
    network.requires_grad_(True)
    for module in network.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0  # the rates of the packages differ, and the same network is to be timed
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    device, loss_of_batch = images.device.type, loss_of(model, len(images), seed=0)
    scaler = torch.amp.GradScaler(device, enabled=dtype == 'fp16')
    autocast = functools.partial(torch.autocast, device, DTYPES[dtype], enabled=dtype != 'fp32')

    # in evaluation mode, in which the norms of all packages have the same statistics
    network.eval()
    with torch.no_grad(), autocast():
        outputs = network(images)
    network.train()

    def call() -> None:
        with autocast():
            loss = loss_of_batch(network, images)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=True)
    try:
        call()
    except ValueError as error:  # of a batch norm that has one value a channel
        raise Skipped(f'no step of training with a batch of {len(images)}: {first_line(error)}') from error
    return call, lambda: outputs


def kernels(model: TimedModel, images: Tensor, dtype: str, layout: str) -> tuple[Call, None]:
    """The matrix products and convolutions of the inference copy, and nothing else; see :func:`.compute_lower_bound`."""
    return _inference(compute_lower_bound(*_moved(model.deployed, images, dtype, layout)), images), None


BACKENDS = {'eager': eager, 'deploy': deploy, 'compile': compiled, 'onnxruntime': onnxruntime, 'openvino': openvino,
            'graphs': graphs, 'train': train, 'kernels': kernels}
RUNTIMES = ('onnxruntime', 'openvino')  # neither takes a layout or another type than float32
