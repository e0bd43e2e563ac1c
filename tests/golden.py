"""Golden files: what the published implementation computes on weights and an input rebuilt from names alone.

``data/golden/NAME.json`` has the keys and shapes of the published state dict, ``NAME.npz`` for each output its shape,
sampled values, mean and std.
"""
import csv
import functools
import json
import zlib
from pathlib import Path

import numpy as np
import torch

DATA = Path(__file__).parent / 'data'
GOLDEN = DATA / 'golden'


def names(pattern: str) -> list[str]:
    """Names of the golden files that match a glob."""
    return sorted(path.stem for path in GOLDEN.glob(f'{pattern}.npz'))


def parameter_counts() -> dict[str, tuple[int, int]]:
    """Model -> exact published parameter count, with and without the auxiliary head."""
    with open(DATA / 'official_parameter_counts.csv') as file:
        return {row['name']: (int(row['params_all']), int(row['params_without_aux_head']))
                for row in csv.DictReader(file)}


def draw(key: str, shape: list[int]) -> torch.Tensor:
    """A tensor of a published state dict, drawn from its name."""
    rng = np.random.RandomState(zlib.crc32(key.encode()) & 0x7FFFFFFF)
    if key.endswith('num_batches_tracked'):
        return torch.zeros(shape, dtype=torch.long)
    if key.endswith('running_var'):
        value = rng.uniform(0.5, 1.5, shape)
    elif key.endswith('running_mean'):
        value = rng.randn(*shape) * 0.1
    elif len(shape) >= 2:
        value = rng.randn(*shape) / np.sqrt(np.prod(shape[1:]))
    elif key.endswith('bias'):
        value = rng.randn(*shape) * 0.1
    else:
        value = rng.uniform(0.5, 1.5, shape)
    return torch.from_numpy(np.asarray(value, dtype=np.float32))


@functools.lru_cache(maxsize=1)
def _state_dict(name: str) -> dict[str, torch.Tensor]:
    keys_and_shapes = json.loads((GOLDEN / f'{name}.json').read_text())['state_dict']
    return {key: draw(key, shape) for key, shape in keys_and_shapes}


def state_dict(name: str) -> dict[str, torch.Tensor]:
    """The published state dict of a golden model, weights drawn from their names."""
    return {key: value.clone() for key, value in _state_dict(name).items()}


def image(height: int, width: int, batch: int = 2) -> torch.Tensor:
    """The network input, (batch, 3, height, width) in [0, 1], fed without mean or std."""
    return torch.from_numpy(np.random.RandomState(0).rand(batch, 3, height, width).astype(np.float32))


def worst(*values: float) -> float:
    """The largest of deviations; NaN if one is, which Python's max() passes over unless it comes first."""
    return float(np.max(values))


def deviation(name: str, output: str, ours: torch.Tensor) -> float:
    """The largest deviation of our output from the published one, sampled values, mean and std, in units of the std.

    Raises:
        AssertionError: The shapes differ.
    """
    with np.load(GOLDEN / f'{name}.npz') as file:
        shape, index, value, mean_std = (
            file[f'{output}/{part}'] for part in ('shape', 'index', 'value', 'mean_std'))
    assert tuple(ours.shape) == tuple(shape), f'{output}: {tuple(ours.shape)}, published {tuple(shape)}'
    ours = ours.detach().double().contiguous()
    return worst(np.abs(ours.flatten().numpy()[index] - value).max(), abs(ours.mean().item() - mean_std[0]),
                 abs(ours.std(correction=0).item() - mean_std[1])) / mean_std[1]
