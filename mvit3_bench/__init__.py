"""mvit3_bench: MobileViTv3 (and v1, v2) as a plugin for mmdetection, mmsegmentation and mmpretrain."""

__version__ = '0.1.0'
