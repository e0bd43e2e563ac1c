"""torchvision: ``torchvision.models.get_model('mobilevitv3_s')``."""
import functools
import warnings
from collections import OrderedDict

import torchvision
from torch import Tensor, nn
from torchvision.models import get_model_builder, list_models
from torchvision.models._api import register_model

from .network import NAMES, Network


class TorchvisionMobileViTv3(Network):
    """The classifier in torchvision's form, (B, 3, H, W) RGB / 255 -> logits (B, num_classes).

    Its children run one after the other (``stem``, ``layer1`` .. ``layer5``, ``expansion``, ``avgpool``, ``head``), as
    ``IntermediateLayerGetter`` and Ultralytics' ``TorchVision`` need it. Arguments as in
    :class:`mvit3_bench.models.Classifier`.
    """

    def __init__(self, arch, num_classes: int = 1000, drop_rate: float | None = None, **options):
        super().__init__(arch, **options)
        if not hasattr(self, 'expansion'):
            self.expansion = nn.Identity()  # so that all have equally many children
        self.avgpool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Sequential(OrderedDict(
            dropout=nn.Dropout(self.default_drop_rate if drop_rate is None else drop_rate),
            fc=nn.Linear(self.num_features, num_classes)))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.avgpool(self.forward_features(x)))


def mobilevitv3(arch: str, *, weights: None = None, progress: bool = True, **options) -> TorchvisionMobileViTv3:
    """Build a model as torchvision's builders do.

    Raises:
        ValueError: ``weights`` is given: there are none to be fetched.
    """
    if weights is not None:
        raise ValueError(f'weights={weights!r} is not possible: no weights come with mobilevitv3; use weights=None, and '
                         'load a file of `mvit3 convert`')
    return TorchvisionMobileViTv3(arch, **options)


for _name, _arch in NAMES.items():
    if _name not in list_models():
        register_model(_name)(functools.partial(mobilevitv3, _arch))
    elif getattr(get_model_builder(_name), 'func', get_model_builder(_name)).__module__ != __name__:
        warnings.warn(f'torchvision {torchvision.__version__} has a {_name} of its own, which stays: ours is not registered',
                      stacklevel=2)
