"""MobileViTv3 in other ecosystems: importing this registers it with timm and torchvision, whichever is installed.

Names are ``mobilevitv3_xxs``, ``mobilevitv3_s_l2``, ``mobilevitv3_100`` (width 1.0) ...: ``network.NAMES`` has all.
``import mvit3_bench`` alone registers nothing.
"""
import warnings
from importlib import import_module
from importlib.util import find_spec

for _package in ('timm', 'torchvision'):
    if find_spec(_package) is not None:
        try:
            import_module(f'{__name__}.{_package}')
        except ImportError as error:  # one that is too old keeps nobody from the other
            warnings.warn(f'{_package} does not get our names: {error}', stacklevel=2)
