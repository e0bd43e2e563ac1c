"""What a target of the export is: the packages that it needs, how its file is written, and how it is run."""
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from ..wrappers import ExportWrapper

TASKS = ('classification', 'detection', 'segmentation')
SETUPTOOLS = 'setuptools<81'  # a newer one has no pkg_resources, which MMEngine imports


@dataclass(frozen=True)
class Loaded:
    """A file in its runtime, which has as many threads as torch.

    Args:
        call: Images, (B, 3, H, W) -> outputs in the order of the model's; None where the runtime does not run.
        inputs, outputs: Name -> shape and type, as text; ``batch`` stands for a free batch.
        operators: Kind -> number, of a format that cannot be run here.
    """
    call: Callable[[Tensor], list[Tensor]] | None
    inputs: dict[str, str]
    outputs: dict[str, str]
    operators: dict[str, int] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of the images, where the file tells."""
        found = re.search(r'(\d+), (\d+)\)', next(iter(self.inputs.values()), ''))
        return (int(found[1]), int(found[2])) if found else None


@dataclass(frozen=True)
class Target:
    """A format and its runtime.

    Args:
        suffix: Of the file to load.
        write: Called with the model, the file and what is known of it, writes the file and what belongs to it.
        load: File -> the same in its runtime.
        packages: Module -> requirement, as pip takes it.
        pins: What pip has to be told besides, since they would replace it.
        extra: Of this package, which installs all of it; empty: torch is all.
        device: The model takes its form for delegates, for one image.
        finishes: Tasks whose post-processing the format can hold.
    """
    suffix: str
    write: Callable[[ExportWrapper, Path, dict], None]
    load: Callable[[Path], Loaded]
    packages: dict[str, str] = field(default_factory=dict)
    pins: tuple[str, ...] = ()
    extra: str = ''
    device: bool = False
    finishes: tuple[str, ...] = TASKS

    @property
    def batches(self) -> tuple[int, ...]:
        """Batches at which the file is compared with the model."""
        return (1,) if self.device else (1, 3)

    def require(self, name: str) -> None:
        """Check that its packages are installed, in versions that are known to work.

        Args:
            name: Of the target, for the message.

        Raises:
            ImportError: One is missing or too old; the message has the line that installs it.
        """
        check_packages(f'exporting to {name}', self.packages, self.pins)


def check_packages(what: str, packages: dict[str, str], pins: tuple[str, ...] = ()) -> None:
    """Check that packages are installed, in versions that are known to work.

    Args:
        what: Needs them, for the message.
        packages: Module -> requirement, as pip takes it.
        pins: Other requirements for the line.

    Raises:
        ImportError: One is missing or too old; the message has the line that installs it.
    """
    missing = {module: wanted for module, wanted in packages.items() if not find_spec(module)}
    if missing:
        raise ImportError(f'{what} needs {", ".join(missing)}: pip install '
                          + ' '.join(f"'{each}'" if set(each) & set('<>') else each for each in (*missing.values(), *pins)))
    for wanted in packages.values():
        package, _, lowest = wanted.partition('>=')
        try:
            found = version(package)
        except PackageNotFoundError:  # a fork of the same import name
            continue
        if lowest and _numbers(found) < _numbers(lowest):
            raise ImportError(f"{what} needs {wanted}, found {package} {found}: pip install '{wanted}'")


def _numbers(text: str) -> list[int]:
    """The numbers of a release: '1.5.1+cpu' -> [1, 5, 1]."""
    return [int(part) for part in text.partition('+')[0].split('.') if part.isdigit()]


def describe(shape, kind: str) -> str:
    """A shape and a type as text; what is no number is the batch."""
    sides = [str(side) if str(side).isdigit() else 'batch' for side in shape]
    return f'({", ".join(sides)}) {kind}'


def blank(deployed: ExportWrapper, batch: int = 1) -> Tensor:
    """Images of the size that a model takes."""
    return torch.zeros(batch, deployed.channels, *deployed.size, dtype=next(deployed.parameters()).dtype)


def capture(deployed: ExportWrapper, free_batch: bool) -> torch.export.ExportedProgram:
    """A model as a program of torch.export, for a free batch or for one image."""
    if not free_batch:
        return torch.export.export(deployed.eval(), (blank(deployed),))
    # a batch of 1 would be taken for a constant
    shapes = {'images': {0: torch.export.Dim('batch', min=1)}}
    return torch.export.export(deployed.eval(), (blank(deployed, 2),), dynamic_shapes=shapes)


def described_program(program: torch.export.ExportedProgram) -> list[dict[str, str]]:
    """Inputs and outputs of a program, described."""
    values = {node.name: node.meta['val'] for node in program.graph.nodes if 'val' in node.meta}
    return [{name: describe(values[name].shape, str(values[name].dtype)[6:]) for name in names}
            for names in (program.graph_signature.user_inputs, program.graph_signature.user_outputs)]


def write_notes(file: Path, notes: dict) -> None:
    """Write what is known of a model beside its file, for a format without metadata: ``FILE.json``."""
    file.with_name(f'{file.name}.json').write_text(json.dumps(notes, indent=2) + '\n', encoding='utf-8')
