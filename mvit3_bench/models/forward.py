"""`forward_tensor`: the output of a network, of torch alone or of OpenMMLab."""
from types import SimpleNamespace

from torch import Tensor, nn


def in_channels(model: nn.Module) -> int:
    """Number of channels of a network's input: that of its first convolution."""
    return next(module.in_channels for module in model.modules() if isinstance(module, nn.Conv2d))


def forward_tensor(model: nn.Module, image: Tensor):
    """Run a model on images, (B, C, H, W) as the backbone sees them, without preprocessing and post-processing.

    Returns:
        The maps of a backbone or the logits of a classifier; for a model of OpenMMLab, identified by its
        ``data_preprocessor``, the outputs of its ``tensor`` mode: logits, or the output of the head. A two-stage
        detector uses the proposals that it makes.
    """
    if not hasattr(model, 'data_preprocessor'):
        return model(image)
    metainfo = dict(img_shape=tuple(image.shape[-2:]), scale_factor=(1.0, 1.0))
    return model(image, [SimpleNamespace(metainfo=metainfo) for _ in image])
