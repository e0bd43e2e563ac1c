"""The size of the images that the network of a config sees."""
from mmengine.config import Config

from ..datasets.configs import data_sets
from ..registry import type_name


def input_size(cfg: Config) -> tuple[int, int]:
    """Height and width of the images that the network of a config sees in a test, or in training if tests have any size.

    Raises:
        ValueError: The config has no fixed size.
    """
    first = next(iter(data_sets(cfg.get('test_dataloader')).values()), {})
    for step in reversed(first.get('pipeline') or cfg.get('test_pipeline') or []):
        name, size = type_name(step), step.get('crop_size') or step.get('scale')
        if size and (name == 'CenterCrop' or (name == 'Resize' and not step.get('keep_ratio'))):
            return (size,) * 2 if isinstance(size, int) else tuple(reversed(size))  # OpenMMLab's are (width, height)
    size = (cfg.model.get('data_preprocessor') or {}).get('size')
    if size is None:
        raise ValueError('the config has no fixed size of images: its test pipeline has neither CenterCrop nor Resize '
                         'without keep_ratio, its data_preprocessor no size. Commands that have --shape take one')
    return (size,) * 2 if isinstance(size, int) else tuple(size)


def input_size_or(cfg: Config, size: tuple[int, int] | None) -> tuple[int, int] | None:
    """The same, or another size where the config has none."""
    try:
        return input_size(cfg)
    except ValueError:
        return size
