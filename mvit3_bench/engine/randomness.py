"""The seed of a run, and whether it can be repeated to the bit."""
import os

from mmengine.config import Config

_LARGEST = 2**31 - 1  # of the seeds that MMEngine draws; numpy's limit of twice that leaves room for those of the workers


def set_randomness(cfg: Config, seed: int | None = None, deterministic: bool = False) -> None:
    """Put the flags into the config's ``randomness``, and meet what deterministic algorithms need on a GPU.

    Args:
        cfg: The config; changed in place.
        seed: Seed of weights, order and augmentation; None leaves the config's, or has one drawn.
        deterministic: Whether torch shall use deterministic algorithms only; False leaves what the config says.

    Raises:
        ValueError: The seed is not possible.
    """
    if seed is not None and not 0 <= seed <= _LARGEST:
        raise ValueError(f'--seed {seed} is not possible; allowed: whole numbers from 0 to {_LARGEST}')
    flags = (dict(seed=seed) if seed is not None else {}) | (dict(deterministic=True) if deterministic else {})
    if flags:
        cfg.randomness = dict(cfg.get('randomness') or {}, **flags)
    if (cfg.get('randomness') or {}).get('deterministic'):
        # without this cuBLAS may sum in another order each time, so torch refuses to multiply matrices
        os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')
        cfg.env_cfg = dict(cfg.get('env_cfg') or {}, cudnn_benchmark=False)  # a race picks the algorithm otherwise
