"""torch.hub: ``torch.hub.load(REPOSITORY, 'mobilevitv3_s', weights=FILE)``; ``'.'`` with source='local'."""
import functools as _functools

dependencies = ['torch', 'torchvision', 'numpy']

from mvit3_bench.integrations.network import NAMES as _NAMES  # noqa: E402
from mvit3_bench.integrations.torchvision import TorchvisionMobileViTv3 as _Model  # noqa: E402


def _build(arch: str, weights: str | None = None, **options):
    """MobileViTv3 as a classifier of RGB / 255 images (B, 3, H, W) -> logits.

    weights: a file of ``mvit3 convert``; options: ``num_classes`` (of the file, 1000 without one), ``drop_rate`` ...
    """
    if weights is None:
        return _Model(arch, **options)
    from mvit3_bench.checkpoints.io import read_checkpoint
    checkpoint = read_checkpoint(weights)
    state_dict = checkpoint.get('state_dict', checkpoint)
    options.setdefault('num_classes', len(state_dict['head.fc.bias']) if 'head.fc.bias' in state_dict else 1000)
    model = _Model(arch, **options)
    model.load_state_dict(state_dict)
    return model


for _name, _arch in _NAMES.items():
    globals()[_name] = _functools.update_wrapper(_functools.partial(_build, _arch), _build)
