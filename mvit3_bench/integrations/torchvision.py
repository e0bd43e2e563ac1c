"""torchvision: ``torchvision.models.get_model('mobilevitv3_s')``."""
import functools
import warnings
from collections import OrderedDict
from pathlib import Path

import torchvision
from torch import Tensor, nn
from torchvision.models import get_model_builder, list_models
from torchvision.models._api import register_model

from ..checkpoints.reading import read_checkpoint, state_dict_of
from ..errors import MissingFileError
from ..models.classifier import init_linear
from .network import NAMES, Network


class TorchvisionMobileViTv3(Network):
    """The classifier in torchvision's form, (B, 3, H, W) RGB / 255 -> logits (B, num_classes).

    Its children run one after the other (``stem``, ``layer1`` .. ``layer5``, ``expansion``, ``avgpool``, ``head``), as
    ``IntermediateLayerGetter`` and Ultralytics' ``TorchVision`` need it. Arguments as in
    :class:`mvit3_bench.models.classifier.Classifier`.
    """

    def __init__(self, arch, num_classes: int = 1000, drop_rate: float | None = None, **options):
        super().__init__(arch, **options)
        if not hasattr(self, 'expansion'):
            self.expansion = nn.Identity()  # so that all have equally many children
        self.avgpool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Sequential(OrderedDict(
            dropout=nn.Dropout(self.arch.head_drop_rate if drop_rate is None else drop_rate),
            fc=nn.Linear(self.num_features, num_classes)))
        init_linear(self.head.fc, self.arch)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.avgpool(self.forward_features(x)))


def mobilevitv3(arch: str, *, weights: str | Path | None = None, progress: bool = True,
                **options) -> TorchvisionMobileViTv3:
    """Build a model as torchvision's builders do.

    Args:
        arch: As in :class:`mvit3_bench.models.backbone.MobileViTv3`.
        weights: A file of ``mvit3 convert --channel-order rgb``; ``num_classes`` is that of the file unless given.
        progress: Has no effect, nothing is downloaded.
        options: Arguments of :class:`TorchvisionMobileViTv3`.

    Raises:
        FileNotFoundError, CheckpointError: As :func:`mvit3_bench.checkpoints.reading.read_checkpoint`.
        RuntimeError: The weights are those of another arch.
    """
    if weights is None:
        return TorchvisionMobileViTv3(arch, **options)
    if not Path(weights).exists():
        raise MissingFileError(f'weights={str(weights)!r}: there is no such file, and mobilevitv3 comes without weights',
                               weights, 'give a file of `mvit3 convert --channel-order rgb`, or None')
    checkpoint = read_checkpoint(weights)
    state_dict = state_dict_of(checkpoint)
    options.setdefault('num_classes', len(state_dict.get('head.fc.bias', range(1000))))
    model = TorchvisionMobileViTv3(arch, **options)
    model.load_state_dict(state_dict)
    if 'meta' in checkpoint and (model.arch.channel_order, checkpoint['meta'].get('channel_order')) == ('bgr', None):
        warnings.warn(f'the weights in {weights} were trained on BGR images; for RGB ones turn them round: '
                      'mvit3 convert --channel-order rgb', stacklevel=2)
    return model


for _name, _arch in NAMES.items():
    if _name not in list_models():
        register_model(_name)(functools.partial(mobilevitv3, _arch))
    elif getattr(get_model_builder(_name), 'func', get_model_builder(_name)).__module__ != __name__:
        warnings.warn(f'torchvision {torchvision.__version__} has a {_name} of its own, which stays: ours is not registered',
                      stacklevel=2)
