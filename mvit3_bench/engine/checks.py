"""Checks before the start: what would fail after minutes should fail at once, and say what to do."""
from pathlib import Path

from mmengine.config import Config


def check_data(cfg: Config, loaders: tuple[str, ...]) -> None:
    """Check that the folders and files of the data sets exist.

    Args:
        cfg: The config of the run.
        loaders: Which of its loaders the run needs, for instance ``('train_dataloader', 'val_dataloader')``.

    Raises:
        FileNotFoundError: Something is missing; the message names it, the layout expected and the remedies.
    """
    for name in loaders:
        dataset = cfg[name].dataset
        root = Path(dataset.get('data_root') or '.')
        parts = [*dataset.get('data_prefix', {}).values(), *filter(None, [dataset.get('ann_file')])]
        missing = [part for part in parts if not (root / part).exists()]
        if missing:
            raise FileNotFoundError(
                f'{name}: {dataset.type} not found in {root}\n'
                f'  missing: {", ".join(missing)}\n'
                f'  expected layout of {root}: {", ".join(parts)}\n'
                f'  put or link the data there, name another folder with --cfg-options {name}.dataset.data_root=..., '
                'or try it without data: --mini')
