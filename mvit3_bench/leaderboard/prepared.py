"""What is made of a model once and kept: its ONNX file, the outputs it has to have, its counts, and compiled kernels."""
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor

from .. import __version__
from ..benchmark.backends import Call, Outputs, Skipped, compiled, to_onnx
from ..checkpoints.atomic import atomic_write
from ..errors import UsageError, WriteError, first_line
from ..mmlab.backbone_names import slug
from . import networks

PARTS = ('classifier', *networks.HEADS)
BATCHES = dict(onnxruntime=(1, 8), openvino=(1, 8), compile=(1,))  # of a classifier; heads have batch 1


@dataclass(frozen=True)
class Prepared:
    """A network that was exported, or could not be.

    Args:
        onnx: Its file.
        skipped: Why there is none; empty if there is.
        images: (B, 3, H, W), on which it is compared and measured; a smaller batch is the first ones of them.
        expected: Outputs of the network for all of them, in PyTorch, with nothing merged or folded.
        complexity: ``parameters`` and ``multiply_adds``.
    """
    onnx: Path
    skipped: str
    images: Tensor
    expected: tuple[Tensor, ...]
    complexity: dict[str, int]


class Cache:
    """A folder of what was prepared; kernels that are compiled go there, too.

    Args:
        folder: It is made if it is not there.
    """

    def __init__(self, folder: Path):
        versions = '-'.join(['mvit3_bench', __version__, *(f'{each}-{version(each)}' for each in ('torch', 'timm'))])
        self.folder = folder / versions
        os.environ['TORCHINDUCTOR_CACHE_DIR'] = str((folder / 'inductor').absolute())

    def get(self, name: str, size: int, part: str) -> Prepared:
        """A network from the folder, or prepared now. Arguments as in :func:`.networks.build`.

        Raises:
            Skipped: It could not be built or run.
        """
        stem = f'{slug(name)}-{size}-{part}'
        onnx, facts = self.folder / f'{stem}.onnx', self.folder / f'{stem}.pt'
        if not facts.is_file():
            found = _prepare(name, size, part, onnx)
            with atomic_write(facts) as file:  # last: what is there is complete
                torch.save(found, file)
        found = torch.load(facts, weights_only=True)
        if 'expected' not in found:
            raise Skipped(found['skipped'])
        images = networks.random_images(found['shape'])
        return Prepared(onnx, found['skipped'], images, found['expected'], found['complexity'])


def _prepare(name: str, size: int, part: str, onnx: Path) -> dict:
    """Build a network, run it and export it -> what :meth:`Cache.get` reads."""
    found = dict(skipped='')
    try:
        built = networks.build(name, size, part)
        model = built.timed()
        largest = max(map(max, BATCHES.values())) if part == 'classifier' else 1
        shape = (largest, *model.size)
        with torch.inference_mode():
            expected = model.network(networks.random_images(shape))
        if not all(each.isfinite().all() for each in expected):
            raise Skipped('its outputs are not finite')
        found |= dict(shape=shape, expected=tuple(each.clone() for each in expected), complexity=built.complexity())
        with atomic_write(onnx) as file:
            file.write(to_onnx(model))
    except WriteError:
        raise
    except Exception as error:  # packages raise what they like
        found['skipped'] = reason(error)
    return found


def compile_classifier(name: str, size: int, batch: int) -> tuple[Call, Outputs, tuple[Tensor, ...]]:
    """The call of a compiled classifier, its outputs, and those of the network as it was built.

    Raises:
        Skipped: It cannot be compiled.
    """
    model = networks.build(name, size, 'classifier').timed()
    images = networks.random_images((batch, *model.size))
    with torch.inference_mode():
        expected = model.network(images)
    return *compiled(model, images, 'fp32', 'channels_last'), expected


def prepare(cache: Cache, name: str, size: int) -> dict[str, str]:
    """Prepare all of a model -> part, or ``compile`` -> why it is left out."""
    def compile_one() -> str:
        compile_classifier(name, size, 1)
        return ''
    steps: dict[str, Callable[[], str]] = {part: lambda part=part: cache.get(name, size, part).skipped for part in PARTS}
    skipped = {}
    for step, run in (steps | dict(compile=compile_one)).items():
        try:
            skipped[step] = run()
        except WriteError:
            raise
        except Exception as error:
            skipped[step] = reason(error)
    return {step: why for step, why in skipped.items() if why}


def reason(error: Exception) -> str:
    """Why something is left out, in a line."""
    return first_line(error) if isinstance(error, (Skipped, UsageError)) else f'{type(error).__name__}: {first_line(error)}'
