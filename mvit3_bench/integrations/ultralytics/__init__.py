"""Ultralytics: the models of this folder, for stock Ultralytics. Nothing of it is imported here.

Their backbone is Ultralytics' own module ``TorchVision``, which asks torchvision for our name.
"""
from pathlib import Path

from .. import torchvision  # noqa: F401  registers the names

# name -> file: mobilevitv3_s, mobilevitv3_s-seg, mobilevitv3_s-cls ...
CONFIGS = {file.stem: str(file) for file in sorted(Path(__file__).parent.glob('*.yaml'))}
