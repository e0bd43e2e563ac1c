"""What a MobileViT block sees: maps of its features, and of how much attention each pixel gets."""
from dataclasses import dataclass

import numpy as np
import torch
from mmcv import bgr2rgb
from torch import Tensor, nn

from ..apis.drawing import rendered
from ..apis.predict import Predictor
from ..errors import UsageError
from ..models.attention import MultiHeadAttention
from ..models.blocks import MobileViTBlock, SeparableMobileViTBlock


@dataclass(frozen=True)
class Maps:
    """The maps of a block for one image.

    Args:
        block: Name of the block in the model.
        image: What the backbone has been given, (H, W, 3) RGB: resized or cropped as the test pipeline does.
        features: Name -> (h, w), the root of the mean square over the channels.
        attention: Of each transformer layer, (heads, h, w): how much attention each pixel gets from the average pixel of
            its sub-grid, as multiples of an equal share. The separable attention of the v2 type has one head.
    """
    block: str
    image: np.ndarray
    features: dict[str, Tensor]
    attention: list[Tensor]


def received(attention: MultiHeadAttention, x: Tensor, rows: int, cols: int) -> Tensor:
    """The attention that each token receives from the average token, (4, N, d) -> (heads, 2 * rows, 2 * cols).

    Args:
        attention: The layer's attention.
        x: What it has been given: the tokens of the four pixel positions of one image's patches.
        rows, cols: Numbers of patches, rows * cols = N.
    """
    query, key, _ = attention.project(x)
    # one pixel position after the other, since N x N weights of each are much
    weights = torch.stack([(attention.scale * q @ k.transpose(-2, -1)).softmax(-1).mean(-2)
                           for q, k in zip(query, key, strict=True)])  # (4, heads, N)
    weights = weights.view(2, 2, -1, rows, cols).permute(2, 3, 0, 4, 1)
    return weights.reshape(-1, 2 * rows, 2 * cols) * rows * cols


def collect(predictor: Predictor, data: dict, layer: str) -> Maps:
    """Pass an image through a model and keep what one of its blocks makes of it.

    Args:
        predictor: The model.
        data: One element of a data set, or of :meth:`.Predictor.prepare`.
        layer: ``layer3``, ``layer4``, ``layer5``: the block in it; or the name of a block in the model.

    Raises:
        UsageError: There is no such block; the message lists them.
    """
    name, block = _find(predictor.model, layer)
    kept = {}
    hooks = [predictor.model.backbone.register_forward_pre_hook(lambda _, args: kept.update(size=args[0].shape[-2:])),
             block.register_forward_hook(lambda _, args, out: kept.update(input=args[0], output=out)),
             block.local_proj.register_forward_hook(lambda _, args, out: kept.update(local=out)),
             # where local features are fused, too, they come behind the global ones
             block.proj.register_forward_pre_hook(lambda proj, args: kept.update({'global': args[0]})),
             *(part.attn.register_forward_pre_hook(lambda attn, args: kept.setdefault('attention', []).append(args[0]))
               for part in block.transformer if hasattr(part, 'attn'))]
    try:
        predictor(data)
    finally:
        for hook in hooks:
            hook.remove()
    width = kept['local'].shape[1]
    features = {key: _magnitude(kept[key][0][:width] if key == 'global' else kept[key][0])
                for key in ('input', 'local', 'global', 'output')}
    rows, cols = (-(-size // 2) for size in kept['local'].shape[-2:])
    with torch.inference_mode():
        attention = [_attention(part.attn, x, rows, cols).cpu()
                     for part, x in zip(block.transformer, kept['attention'], strict=False)]
    return Maps(name, _padded(data['inputs'], kept['size']), features, attention)


def _find(model: nn.Module, layer: str) -> tuple[str, nn.Module]:
    blocks = {name: module for name, module in model.named_modules()
              if isinstance(module, (MobileViTBlock, SeparableMobileViTBlock))}
    found = [(name, block) for name, block in blocks.items() if layer in (name, name.split('.')[-2])]
    if not found:
        raise UsageError(f'no MobileViT block {layer!r} in this model', layer,
                         f'there are: {", ".join(blocks) or "none"}')
    return found[0]


def _attention(attention: nn.Module, x: Tensor, rows: int, cols: int) -> Tensor:
    if isinstance(attention, MultiHeadAttention):
        return received(attention, x, rows, cols)
    query = attention.project(x)[0].permute(0, 2, 3, 1)
    return attention.context_scores(query)[0].permute(2, 0, 1) * rows * cols


def _magnitude(features: Tensor) -> Tensor:
    return features.float().square().mean(0).sqrt().cpu()


def _padded(image: Tensor, size: torch.Size) -> np.ndarray:
    """An image of the pipeline, (3, H, W) BGR, with the padding that the model gave it: (h, w, 3) RGB."""
    height, width = image.shape[-2:]
    padded = nn.functional.pad(image, (0, size[1] - width, 0, size[0] - height))
    return bgr2rgb(padded.permute(1, 2, 0).contiguous().numpy())


def draw(maps: Maps) -> np.ndarray:
    """Maps as a picture, (H, W, 3) RGB: a row of features, and a row of heads for each transformer layer."""
    from matplotlib.figure import Figure
    features = {f'{name} features' if name != 'image' else name: map_ for name, map_ in maps.features.items()}
    rows = [{'image': None, **features}, *(
        {f'layer {number}, head {head}' if len(heads) > 1 else f'layer {number}, context scores': map_
         for head, map_ in enumerate(heads, 1)} for number, heads in enumerate(maps.attention, 1))]
    height, width = maps.image.shape[:2]
    columns = max(map(len, rows))
    figure = Figure(figsize=(2.6 * columns, (2.1 * height / width + 0.3) * len(rows) + 0.4), dpi=110, layout='constrained')
    figure.suptitle(f'{maps.block}: root mean square of the features; attention received, 1 is an equal share', fontsize=10)
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for axis in axes.flat:
        axis.axis('off')
    for line, row in zip(axes, rows, strict=True):
        for axis, (title, map_) in zip(line, row.items(), strict=False):
            axis.imshow(maps.image, extent=(0, width, height, 0))
            axis.set_title(title, fontsize=9)
            if map_ is not None:
                shown = axis.imshow(map_, extent=(0, width, height, 0), alpha=0.65, cmap='viridis')
                figure.colorbar(shown, ax=axis, fraction=0.046, pad=0.02).ax.tick_params(labelsize=7)
    return rendered(figure)
