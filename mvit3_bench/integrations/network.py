"""What the ecosystems share: the names, and the network with its layers as direct children."""
from torch import Tensor

from ..models import ARCHS, MobileViTv3

# name elsewhere -> arch: mobilevitv3_xxs, mobilevitv3_s_l2, mobilevitv3_050 (timm's way to write a width)
NAMES = {f'mobilevitv3_{round(100 * float(arch)):03d}' if arch[0].isdigit() else f'mobilevitv3_{arch}': arch
         for arch in ARCHS['v3']}


def strip_backbone(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename ``backbone.stem...`` to ``stem...``: the names of our classifiers to those of :class:`Network`."""
    return {key.removeprefix('backbone.'): value for key, value in state_dict.items()}


class Network(MobileViTv3):
    """MobileViTv3 with the children ``stem``, ``layer1`` .. ``layer5`` and, in the v1 type, ``expansion``.

    Subclasses add the pooling and the head of their ecosystem. A state dict of our classifiers loads as it is: the prefix
    ``backbone.`` is taken off. The input is RGB; turn the first convolution of weights that were trained on BGR round by
    ``mvit3 convert --channel-order rgb``.

    Args:
        arch: As in :class:`mvit3_bench.models.backbone.MobileViTv3`.
        options: Its other arguments but ``out_indices``.

    Attributes:
        num_features: Width of the last layer.
    """

    def __init__(self, arch, **options):
        super().__init__(arch, out_indices=(-1,), **(dict(odd_size='published') | options))
        self.num_features = self.out_channels[-1]
        self.register_load_state_dict_pre_hook(_strip_in_place)

    def forward_features(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) -> the last map (B, C, H / output stride, W / output stride)."""
        return self.forward_maps(x, self.out_indices)[-1]


def _strip_in_place(module, state_dict, prefix, *args) -> None:
    """A hook of ``load_state_dict``."""
    for key in [key for key in state_dict if key.startswith(f'{prefix}backbone.')]:
        state_dict[prefix + key[len(prefix) + len('backbone.'):]] = state_dict.pop(key)
