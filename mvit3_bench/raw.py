"""What a network computes before any post-processing, whichever framework it is of."""
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import Tensor, nn


def in_channels(model: nn.Module) -> int:
    """Channels of the images that a network takes: those of its first convolution."""
    return next(module.in_channels for module in model.modules() if isinstance(module, nn.Conv2d))


def raw_outputs(model: nn.Module, image: Tensor):
    """Run a model on images, (B, C, H, W) as the backbone sees them, without preprocessing and post-processing.

    Returns:
        Of a backbone its maps; of a classifier, detector or segmentor of OpenMMLab's what its ``tensor`` mode gives: logits,
        or the raw outputs of the head. A detector of two stages goes on with the proposals that it makes.
    """
    if not isinstance(model, BaseModel):
        return model(image)
    metainfo = dict(img_shape=tuple(image.shape[-2:]), scale_factor=(1.0, 1.0))
    return model(image, [BaseDataElement(metainfo=metainfo) for _ in image])
