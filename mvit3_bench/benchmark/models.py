"""The models that are timed: the network of a config with random weights, and the same network of other packages."""
from dataclasses import dataclass

import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._pytree import tree_leaves

from ..deploy.fuse import fuse
from ..engine.input_size import input_size
from ..engine.run_config import build_model
from ..models.backbone import MobileViT
from ..models.forward import in_channels
from ..registry import type_name
from .baselines import build_baseline


class Network(nn.Module):
    """Images, (B, C, H, W) as the backbone sees them, -> `forward_tensor` of a model of any framework, as a tuple."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        outputs = self.model(images, mode='tensor') if isinstance(self.model, BaseModel) else self.model(images)
        return tuple(tree_leaves(outputs))


@dataclass(frozen=True, eq=False)
class TimedModel:
    """A network to be timed.

    Args:
        name: Name of the config, without suffix, and of the backbone that was put into it.
        owner: ``'ours'``, or the package of a baseline.
        network: In evaluation mode.
        deployed: The network that is compiled, exported and captured as a CUDA graph: our inference copy, a baseline as it
            is.
        size: Channels, height and width of an image.
        classifier: Whether the only output are logits.
        layout_known: Whether channels-last is its faster layout: our backbones are made for it. Another's backbone, or the
            head of a detector or segmentor, may not be.
    """
    name: str
    owner: str
    network: Network
    deployed: Network
    size: tuple[int, int, int]
    classifier: bool
    layout_known: bool = False


def build_models(name: str, cfg: Config, baselines: list[str], shape: tuple[int, int] | None,
                 seed: int) -> list[TimedModel]:
    """Our network of a config, and those of the baselines that have it, with the same weights.

    Args:
        name: What to call the model.
        cfg: The config.
        baselines: Names of packages, see :mod:`mvit3_bench.benchmark.baselines`.
        shape: Height and width of the images; None: that of the test pipeline.
        seed: Of the weights.

    Raises:
        ImportError: The package of a baseline is not installed.
        ValueError: The config has no fixed size, or the model cannot be built.
    """
    shape = shape or input_size(cfg)
    model = lived_in(build_model(cfg), seed).eval()
    size = (in_channels(model), *shape)
    classifier = type_name(cfg.model) == 'ImageClassifier'
    common = dict(name=name, size=size, classifier=classifier)
    models = [TimedModel(owner='ours', network=Network(model), deployed=Network(fuse(model, shape)),
                         layout_known=classifier and isinstance(model.backbone, MobileViT), **common)]
    for baseline in baselines:
        network = build_baseline(baseline, cfg.model, model)
        if network is not None:
            network = Network(network)
            models.append(TimedModel(owner=baseline, network=network, deployed=network, **common))
    return models


@torch.no_grad()
def lived_in(model: nn.Module, seed: int) -> nn.Module:
    """Draw weights, and statistics of batch norms, such that no two layers are alike and no signal dies out."""
    generator = torch.Generator().manual_seed(seed)
    for value in model.parameters():
        if value.ndim > 1:
            value.normal_(std=(2 / value[0].numel()) ** 0.5, generator=generator)
    for module in model.modules():
        if isinstance(module, (_BatchNorm, nn.LayerNorm, nn.GroupNorm)):
            module.weight.uniform_(0.5, 1.5, generator=generator)
            module.bias.normal_(std=0.1, generator=generator)
        if isinstance(module, _BatchNorm):
            module.running_mean.normal_(std=0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
    return model
