"""The file of what was measured: continued where it ended, refused where another machine began it."""
import json
from pathlib import Path

import numpy as np
import torch

from ..checkpoints.atomic import write_text
from ..errors import UsageError
from ..utils import environment
from ..utils.packages import named
from .measured import RUNTIMES
from .networks import ANCHOR

_PACKAGES = ('torch', 'timm', 'onnxruntime', 'openvino')


def new(rounds: int, **provenance: str) -> dict:
    """The content before anything is measured: machine, versions and protocol of this process.

    Args:
        rounds: Number of blocks.
        provenance: ``command`` and ``date``.
    """
    return dict(machine=environment.describe(torch.device('cpu')), versions={each: named(each) for each in _PACKAGES},
                **provenance, threads=torch.get_num_threads(), rounds=rounds, anchor=ANCHOR, anchor_spread={}, models={})


def continued(path: Path, content: dict) -> dict:
    """What a file holds, if it was measured as this process would; the content given, if there is no file.

    Raises:
        UsageError: It was measured otherwise, or it is no such file; the message says what differs.
    """
    if not path.exists():
        return content
    fix = f'--out OTHER, or remove {path}'
    try:
        found = json.loads(path.read_text(encoding='utf-8'))
        before, now = _protocol(found), _protocol(content)
        found['models'].items()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f'{path} is no file of the leaderboard', path, fix) from error
    if differing := [f'{key}: {before[key]} there, {now[key]} here' for key in now if before[key] != now[key]]:
        raise UsageError(f'{path} was measured otherwise: {"; ".join(differing)}', path, fix, '\n  ')
    return found


def _protocol(content: dict) -> dict:
    """What all models of a file have in common."""
    parts = ((content['machine'], ('cpu', 'cores')), (content['versions'], _PACKAGES),
             (content, ('threads', 'rounds', 'anchor')))
    return {key: part[key] for part, keys in parts for key in keys}


def write(path: Path, content: dict) -> None:
    """Write the file, with the spread of the anchor over all models; what was there is complete until the new one is."""
    content['anchor_spread'] = anchor_spread(content['models'])
    write_text(path, json.dumps(content, indent=1) + '\n')


def anchor_spread(models: dict[str, dict]) -> dict[str, dict]:
    """Runtime and batch -> spread of the anchor's latency over the models that it was measured with."""
    found = {}
    for entry in models.values():
        for backend in RUNTIMES:
            for batch, cell in entry['cells'].get(backend, {}).items():
                found.setdefault(f'{backend}/{batch}', []).append(cell['anchor_ms'])
    keys = ('min_ms', 'quartile_1_ms', 'median_ms', 'quartile_3_ms', 'max_ms')
    return {key: dict(zip(keys, map(float, np.quantile(values, (0, 0.25, 0.5, 0.75, 1))), strict=True), models=len(values))
            for key, values in found.items()}
