"""ncnn: a file of layers and a file of weights for one image, converted by pnnx."""
import subprocess
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from ..wrappers import ExportWrapper
from .base import Loaded, Target, blank, write_notes


def write(deployed: ExportWrapper, file: Path, notes: dict) -> None:
    """Write a model: ``NAME.ncnn.param``, and the weights as ``NAME.ncnn.bin``; OpenVINO's weights are ``NAME.bin``.

    Raises:
        RuntimeError: pnnx failed, or says that it left something out.
    """
    import pnnx
    write_notes(file, notes)
    images = blank(deployed)
    with tempfile.TemporaryDirectory() as folder:
        with torch.no_grad():
            torch.jit.trace(deployed.eval(), images, check_trace=False).save(Path(folder) / 'model.pt')
        done = subprocess.run([pnnx.EXEC_PATH, 'model.pt', f'inputshape=[{",".join(map(str, images.shape))}]', 'fp16=0'],
                              cwd=folder, capture_output=True, text=True)
        complaints = [line for line in (done.stdout + done.stderr).splitlines()
                      if 'not supported' in line or line.startswith('ignore ')]
        if done.returncode or complaints:
            raise RuntimeError(f'pnnx: {complaints[0] if complaints else f"exit code {done.returncode}"}')
        for suffix in ('.param', '.bin'):
            file.with_suffix(suffix).write_bytes((Path(folder) / f'model.ncnn{suffix}').read_bytes())


def load(file: Path) -> Loaded:
    """Load a model into ncnn, in float32 throughout."""
    import ncnn
    net = ncnn.Net()
    net.opt.num_threads = torch.get_num_threads()  # more than there are cores wait for each other, seconds an image
    for name in ('fp16_packed', 'fp16_storage', 'fp16_arithmetic', 'bf16_storage'):
        setattr(net.opt, f'use_{name}', False)
    if net.load_param(str(file)) or net.load_model(str(file.with_suffix('.bin'))):
        raise RuntimeError(f'ncnn cannot load {file}')

    def call(images: Tensor) -> list[Tensor]:
        extractor = net.create_extractor()
        extractor.input(net.input_names()[0], ncnn.Mat(images[0].numpy()).clone())
        outputs = []
        for name in net.output_names():
            code, output = extractor.extract(name)
            if code:
                raise RuntimeError(f'ncnn cannot compute {name}: {code}')
            outputs.append(torch.from_numpy(output.numpy().copy())[None])
        return outputs
    return Loaded(call, *(dict.fromkeys(names(), 'float32') for names in (net.input_names, net.output_names)))


TARGET = Target('.ncnn.param', write, load, dict(pnnx='pnnx>=20261020', ncnn='ncnn>=1.0.20261020'), extra='ncnn',
                device=True, finishes=('classification',))
