"""The size of the images that the network of a config sees."""
from mmengine.config import Config


def input_size(cfg: Config) -> tuple[int, int]:
    """Height and width of the images that the network of a config sees in a test, or in training if tests have any size.

    Raises:
        ValueError: The config has no fixed size.
    """
    for step in reversed(cfg.get('test_pipeline', [])):
        if step.type == 'CenterCrop':
            return (step.crop_size,) * 2 if isinstance(step.crop_size, int) else tuple(step.crop_size)
        if step.type == 'Resize' and not step.get('keep_ratio'):
            return tuple(reversed(step.scale))  # OpenMMLab's scales are (width, height)
    size = cfg.model.get('data_preprocessor', {}).get('size')
    if size is None:
        raise ValueError('the config has no fixed size of images: give one (--shape HEIGHT WIDTH)')
    return tuple(size)
