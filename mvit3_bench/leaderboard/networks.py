"""The networks that are measured: classifiers by name, and a detector and a segmentor with the same backbone."""
import contextlib
import copy
from dataclasses import dataclass
from difflib import get_close_matches

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..benchmark.models import Network, TimedModel, lived_in
from ..deploy.fuse import fuse
from ..engine.input_size import input_size
from ..engine.run_config import build_model, read_config, set_backbone
from ..errors import UsageError
from ..mmlab.backbone_names import Named, resolve
from ..models.classifier import Classifier
from ..models.complexity import count
from ..models.dilation import dilate
from .models import models

FLAG = '--models'
ANCHOR = 'timm/mobilenetv3_large_100'
TORCHVISION = 'torchvision/'
SEED = 0  # of weights and images
HEADS = dict(ssdlite='det/ssdlite_mvit3_s_coco', deeplabv3='seg/deeplabv3_mvit3_s_voc2012')


def listed() -> dict[str, int]:
    """Name -> side of the images, of the models of ``models.csv``."""
    return {each.build: each.size for each in models() if each.build}


def side(name: str) -> int:
    """Side of the images of a model: the listed one; otherwise timm's for its weights, 224 for torchvision's, 256 for ours.

    Raises:
        UsageError: Nothing has this name, or it is no classifier; or timm is not installed.
    """
    if name in (sizes := listed()):
        return sizes[name]
    if name.startswith(TORCHVISION):
        from torchvision.models import list_models
        known = [TORCHVISION + each for each in list_models()]
        if name not in known:
            raise UsageError(f'{FLAG} {name}: no model has this name', FLAG,
                             f'the nearest: {", ".join(get_close_matches(name, known, n=5, cutoff=0.3))}')
        return 224
    named = _named(name)
    if named.source == 'ours':
        return 256
    import timm
    found = timm.get_pretrained_cfg(named.arguments['model_name'])
    return found.input_size[-1] if found else 224


def _named(name: str) -> Named:
    named = resolve(name, flag=FLAG)
    if named.source == 'openmmlab':
        raise UsageError(f'{FLAG} {name} is a backbone without classifier', FLAG,
                         'allowed: timm/NAME, torchvision/NAME, and archs of ours such as mvit3_s')
    return named


@dataclass(frozen=True)
class Built:
    """A network with random weights, in evaluation mode.

    Args:
        model: As it is trained.
        merged: A copy in which branches that serve training alone are merged.
        size: Height and width of the images.
    """
    model: nn.Module
    merged: nn.Module
    size: tuple[int, int]

    def complexity(self) -> dict[str, int]:
        """Parameters and multiply-adds of the merged one, in which batch norms are not folded."""
        found = count(self.merged, self.size)['']
        return dict(parameters=found.parameters, multiply_adds=found.multiply_adds)

    def timed(self) -> TimedModel:
        """The network for the backends."""
        deployed = self.merged.requires_grad_(False)
        for size in ((64, 64), self.size):  # some take one size alone
            with contextlib.suppress(Exception):  # where it cannot be done, the runtimes fold what they can
                deployed = fuse(self.merged, size)
                break
        return TimedModel('', '', Network(self.model), Network(deployed), (3, *self.size), classifier=False)


def build(name: str, size: int, part: str) -> Built:
    """Build a classifier of 1000 classes, or a detector or segmentor with a model as backbone.

    Args:
        name: ``timm/NAME``, ``torchvision/NAME``, or an arch of ours such as ``mvit3_s``.
        size: Side of a classifier's images.
        part: ``'classifier'`` or one of ``HEADS``, at the size of its config.

    Raises:
        UsageError: There is no such model, or it cannot be the backbone there; the message says why.
    """
    torch.manual_seed(SEED)  # of what packages draw and is not drawn anew
    if part in HEADS:
        return _with_head(name, HEADS[part])
    model = _random(_classifier(name), (size, size))
    return Built(model, _merged(model), (size, size))


@torch.no_grad()
def _random(model: nn.Module, size: tuple[int, int]) -> nn.Module:
    """Draw weights, and take the statistics of batch norms from images: with any others, the signals of a deep network grow
    until rounding decides on what comes out.
    """
    lived_in(model, SEED).eval()
    norms = [each for each in model.modules() if isinstance(each, _BatchNorm)]
    momenta = [each.momentum for each in norms]
    for each in norms:
        each.train()
        each.momentum = 1.0
    Network(model)(random_images((2, 3, *size)))
    for each, momentum in zip(norms, momenta, strict=True):
        each.momentum = momentum
        # the averages of whole images hardly differ; what they are divided by must not be rounding
        each.running_var.clamp_(min=0.3 * each.running_mean.square())
    return model.eval()


def random_images(shape: tuple[int, ...]) -> Tensor:
    """Images, (B, C, H, W); those of a smaller batch are the first ones of a larger."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(SEED))


def _classifier(name: str) -> nn.Module:
    if name.startswith(TORCHVISION):
        from torchvision.models import get_model
        return get_model(name.removeprefix(TORCHVISION), weights=None)
    named = _named(name)
    if named.source == 'ours':
        return Classifier(f'v{named.type[-1]}', **named.arguments)
    import timm
    return timm.create_model(**named.arguments)


def _with_head(name: str, config: str) -> Built:
    cfg = read_config(config)
    set_backbone(cfg, name)
    cfg.model.pop('auxiliary_head', None)
    size = input_size(cfg)
    model = _random(build_model(cfg), size)
    output_stride = cfg.model.pop('output_stride', None)
    merged = build_model(cfg).eval()
    merged.load_state_dict(model.state_dict())
    merged.backbone = _merged(merged.backbone)
    if output_stride:  # last: merging makes convolutions of the strides that the branches were built with
        dilate(merged.backbone, output_stride)
    return Built(model, merged, size)


def _merged(model: nn.Module) -> nn.Module:
    """A copy in which models of timm have their branches merged: RepViT, FastViT, MobileOne and others."""
    if not any(type(each).__module__.startswith('timm.') for each in model.modules()):
        return copy.deepcopy(model)
    from timm.utils.model import reparameterize_model
    return reparameterize_model(model)
