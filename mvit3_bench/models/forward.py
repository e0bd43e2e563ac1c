"""What a network computes before any post-processing, with or without OpenMMLab."""
from types import SimpleNamespace

from torch import Tensor, nn


def in_channels(model: nn.Module) -> int:
    """Channels of the images that a network takes: those of its first convolution."""
    return next(module.in_channels for module in model.modules() if isinstance(module, nn.Conv2d))


def forward_tensor(model: nn.Module, image: Tensor):
    """Run a model on images, (B, C, H, W) as the backbone sees them, without preprocessing and post-processing.

    Returns:
        Of a backbone its maps, of a classifier its logits; of a model of OpenMMLab, which is known by its
        ``data_preprocessor``, what its ``tensor`` mode gives: logits, or the raw outputs of the head. A detector of two
        stages goes on with the proposals that it makes.
    """
    if not hasattr(model, 'data_preprocessor'):
        return model(image)
    metainfo = dict(img_shape=tuple(image.shape[-2:]), scale_factor=(1.0, 1.0))
    return model(image, [SimpleNamespace(metainfo=metainfo) for _ in image])
