"""torch.hub: ``torch.hub.load(REPOSITORY, 'mobilevitv3_s', weights=FILE)``; ``'.'`` with source='local'."""
import functools as _functools

dependencies = ['torch', 'torchvision', 'numpy']

from mvit3_bench.integrations.network import NAMES as _NAMES  # noqa: E402
from mvit3_bench.integrations.torchvision import mobilevitv3 as _mobilevitv3  # noqa: E402

for _name, _arch in _NAMES.items():
    globals()[_name] = _functools.update_wrapper(_functools.partial(_mobilevitv3, _arch), _mobilevitv3)
