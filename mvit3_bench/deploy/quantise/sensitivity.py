"""Which layers INT8 harms most: each alone is quantised, in torch, and its effect on the outputs is measured."""
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..wrappers import ExportWrapper
from .calibration import agreement


@dataclass(frozen=True)
class Effect:
    """What INT8 in one layer does to the outputs.

    Args:
        layer: Its name in what is exported.
        agreement: Share of answers that stay.
        noise: Root mean square of the difference, in standard deviations of the outputs.
    """
    layer: str
    agreement: float
    noise: float


@torch.no_grad()
def sensitivity(deployed: ExportWrapper, images: Tensor) -> list[Effect]:
    """The effects of all convolutions and linear layers, the worst first.

    Weights have a scale a channel, inputs a range over the images.

    Args:
        deployed: What is exported, before the post-processing.
        images: (N, 3, H, W), as it takes them.
    """
    layers = {name: module for name, module in deployed.named_modules() if isinstance(module, (nn.Conv2d, nn.Linear))}
    ranges: dict[nn.Module, list[Tensor]] = {}

    def note(layer: nn.Module, inputs: tuple[Tensor]) -> None:
        ranges.setdefault(layer, []).append(inputs[0].aminmax())
    handles = [layer.register_forward_pre_hook(note) for layer in layers.values()]
    exact = _outputs(deployed, images)
    for handle in handles:
        handle.remove()
    effects = [_effect(deployed, name, layer, ranges[layer], images, exact)
               for name, layer in layers.items() if layer in ranges]
    return sorted(effects, key=lambda effect: (effect.agreement, -effect.noise))


def _outputs(deployed: ExportWrapper, images: Tensor) -> list[Tensor]:
    """The outputs of all images, one by one, since a form for delegates takes no more."""
    return [torch.cat(parts) for parts in zip(*(deployed(image) for image in images.split(1)), strict=True)]


def _effect(deployed: ExportWrapper, name: str, layer: nn.Module, ranges: list, images: Tensor,
            exact: list[Tensor]) -> Effect:
    low = min(0.0, *(float(each.min) for each in ranges))
    high = max(0.0, *(float(each.max) for each in ranges))
    scale = max((high - low) / 255, 1e-12)
    zero = round(-low / scale)
    weight = layer.weight.data
    limits = (weight.flatten(1).abs().amax(1) / 127).clamp(min=1e-12)
    handle = layer.register_forward_pre_hook(
        lambda layer, inputs: (torch.fake_quantize_per_tensor_affine(inputs[0], scale, zero, 0, 255), *inputs[1:]))
    layer.weight.data = torch.fake_quantize_per_channel_affine(
        weight, limits, torch.zeros(len(limits), dtype=torch.int32), 0, -128, 127)
    try:
        found = _outputs(deployed, images)
    finally:
        handle.remove()
        layer.weight.data = weight
    noise = max(((one - other).square().mean().sqrt() / other.std()).item() for one, other in zip(found, exact, strict=True))
    return Effect(name, agreement(deployed.task, True, exact, found), noise)
