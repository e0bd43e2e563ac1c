"""mvit3_bench: MobileViTv3 (and v1, v2) for OpenMMLab, timm, torchvision and Ultralytics."""

__version__ = '0.1.0'
