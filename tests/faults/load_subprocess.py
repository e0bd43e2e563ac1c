"""A process that hostile checkpoints are offered to: it loads each in our ways and says what came of it.

    python -m faults.load_subprocess BYTES   (then paths on the standard input, a line each)

The answer to a path is a line of JSON. No answer, for the process has died of it, is one as well.
"""
import json
import os
import resource
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

from torch import Tensor, nn

from mvit3_bench.checkpoints.io import check_fits
from mvit3_bench.errors import CheckpointError
from mvit3_bench.mmlab import MobileViTv3


class Model(nn.Module):
    """The beginning of a MobileViTv3, as every model of ours has it."""

    def __init__(self, init_cfg: dict | None = None):
        super().__init__()
        self.backbone = MobileViTv3('xxs', out_indices=(0,), init_cfg=init_cfg)


def weights() -> dict[str, Tensor]:
    """Those of a model that a hostile file is to fit."""
    return Model().state_dict()


def tool(path: str) -> None:
    """As train, test, export and convert_checkpoint begin."""
    check_fits(Model(), path)


def init_cfg(path: str) -> None:
    """As a backbone that starts from a checkpoint."""
    Model(dict(type='Pretrained', checkpoint=path, prefix='backbone.')).backbone.init_weights()


def load_from(path: str) -> None:
    """As MMEngine's runner and the frameworks' inferencers, which take what fits."""
    from mmengine.runner import load_checkpoint
    model = Model()
    load_checkpoint(model, path, map_location='cpu')
    check_fits(model, path)  # as the tools do on top


def offered(load: Callable[[str], None], path: str) -> str:
    """What came of loading a file: empty, if it was refused and the message names it."""
    try:
        load(path)
    except (CheckpointError, FileNotFoundError) as error:
        return '' if path in str(error) else f'the message names no file: {error}'
    except Exception as error:
        return f'{type(error).__name__}: {error}'
    return 'it was loaded'


def main() -> None:
    warnings.simplefilter('ignore')
    used = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[1]),) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.fdopen(os.dup(1), 'w', buffering=1)
    os.dup2(2, 1)  # MMEngine's log would come between
    for path in map(str.strip, sys.stdin):
        seen = {load.__name__: offered(load, path) for load in (tool, init_cfg, load_from)}
        print(json.dumps({name: outcome for name, outcome in seen.items() if outcome}), file=answers)


if __name__ == '__main__':
    main()
