"""An inference copy of a model: batch norms and scales are folded into the weights, dropout is removed."""
import copy
from collections import Counter

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils._pytree import tree_leaves

from ..models.attention import MultiHeadAttention, SeparableLayer, SeparableSelfAttention, TransformerLayer
from ..models.backbone import MobileViT
from ..models.forward import forward_tensor, in_channels
from ..models.layers import ConvNormAct
from .attention import SplitAttention
from .cache_blocking import block_first_layers

_TOLERANCE = 1e-3  # of the standard deviation; rounding stays three orders of magnitude below it


def fuse(model: nn.Module, size: tuple[int, int] = (64, 64)) -> nn.Module:
    """Copy a model for inference: batch norms and the scale of the attention folded into the weights, dropout gone.

    The copy is in evaluation mode, its parameters need no gradient, and its outputs are those of the model but for
    rounding, which is checked on a random image. It has other parameters than the model, so a checkpoint is loaded before.
    On a CPU the first layers of a MobileViT take a batch in parts that fit into the cache.

    Args:
        model: A backbone, a classifier, or a model of OpenMMLab's with any backbone.
        size: Height and width of that image, for a network that takes no others.

    Raises:
        ValueError: Folding would change the outputs, as it does where what a convolution gives goes past its norm as well;
            the message names the layer.
    """
    fused = copy.deepcopy(model)
    first = next(model.parameters())
    half = first.dtype in (torch.float16, torch.bfloat16)
    # rounding would hide what the check looks for: that of half precision, and of a GPU, whose convolutions take TF32
    fused.to('cpu', torch.float32 if half else None)
    fused.eval()  # not chained: the backbones of mmpretrain return None; some keep a tensor then, which moves with no other
    image = _image(fused, size)
    before = _trace(fused, image)
    _fold_norms(fused, image)
    fused.requires_grad_(False)
    for module in list(fused.modules()):
        if isinstance(module, ConvNormAct) and isinstance(module.norm, nn.Identity):
            del module.norm
        if isinstance(module, MultiHeadAttention):
            _fold_scale(module)
        if isinstance(module, (ConvNormAct, TransformerLayer, SeparableLayer)) and hasattr(module, 'act'):
            module.act.inplace = True  # nothing else needs what the convolution before it gives
        for name, child in module.named_children():
            if isinstance(child, nn.Dropout):
                setattr(module, name, nn.Identity())
            if isinstance(child, SeparableSelfAttention):
                setattr(module, name, SplitAttention(child))
    _check(before, _trace(fused, image), type(model).__name__)
    fused.to(first.device, first.dtype if half else None)
    fused.eval()
    for module in list(fused.modules()):
        # a forward() of another ecosystem may take the maps of any layer
        if isinstance(module, MobileViT) and type(module).forward is MobileViT.forward:
            block_first_layers(module)
    return fused


@torch.no_grad()
def _fold_norms(model: nn.Module, image: Tensor) -> None:
    """Fold every batch norm into the convolution beside it whose output it takes, in place."""
    outputs, pairs = [], {}  # of convolutions, with the version of the tensor, which what works in place raises

    def note_output(layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        outputs.append((layer, output, output._version))

    def note_input(norm: nn.Module, inputs: tuple[Tensor]) -> None:
        pairs.setdefault(norm, []).append(next((layer for layer, output, version in reversed(outputs)
                                                if output is inputs[0] and output._version == version), None))
    handles = [layer.register_forward_hook(note_output) for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    handles += [norm.register_forward_pre_hook(note_input) for norm in model.modules() if isinstance(norm, _BatchNorm)]
    try:
        forward_tensor(model, image)
    finally:
        for handle in handles:
            handle.remove()
    calls, takers = Counter(layer for layer, *_ in outputs), Counter(layer for layers in pairs.values() for layer in layers)
    for parent in list(model.modules()):
        names = {child: name for name, child in parent.named_children()}
        for norm in names.keys() & pairs.keys():
            layer, *others = set(pairs[norm])
            if not others and layer in names and calls[layer] == takers[layer] == len(pairs[norm]):
                setattr(parent, names[layer], fuse_conv_bn_eval(layer, norm))
                # timm's have the activation in them
                setattr(parent, names[norm], nn.Sequential(norm.drop, norm.act) if hasattr(norm, 'act') else nn.Identity())


def _fold_scale(attention: MultiHeadAttention) -> None:
    dim = attention.proj.in_features
    attention.qkv.weight[:dim] *= attention.scale
    attention.qkv.bias[:dim] *= attention.scale
    attention.scale = 1.0


def _image(model: nn.Module, size: tuple[int, int]) -> Tensor:
    """A random image on a model's device."""
    image = torch.rand(1, in_channels(model), *size, generator=torch.Generator().manual_seed(0))
    return image.to(next(model.parameters()))


def _check(before: dict[str, list[Tensor]], after: dict[str, list[Tensor]], model: str) -> None:
    """Compare every block and the outputs of a model, before and after folding.

    Raises:
        ValueError: One differs; the message names the first, which is where the fault is.
    """
    for name, outputs in before.items():
        for one, other in zip(outputs, after.get(name, ()), strict=False):
            if not one.isfinite().all():
                raise ValueError(f'the output of {name or model} is not finite: look for NaN in the weights')
            if not (one - other).abs().max() <= _TOLERANCE * one.std(correction=0).clamp(min=_TOLERANCE):  # NaN fails, too
                raise ValueError(f'fusing changes the output of {name or model}: '
                                 'it has batch norms that do not belong to the convolution before them')


@torch.no_grad()
def _trace(model: nn.Module, image: Tensor) -> dict[str, list[Tensor]]:
    """The outputs of every module that has modules in it, in the order in which they are ready."""
    traced = {}

    def note(name):
        def hook(module, inputs, outputs):
            traced[name] = [leaf.clone() for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor)]
        return hook
    handles = [module.register_forward_hook(note(name)) for name, module in model.named_modules() if list(module.children())]
    try:
        forward_tensor(model, image)
    finally:
        for handle in handles:
            handle.remove()
    return traced
