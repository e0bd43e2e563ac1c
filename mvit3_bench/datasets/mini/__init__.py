"""Miniature data sets: drawn scenes in the formats of the real ones, ready in seconds.

They need numpy and OpenCV only. `things` draws, `scenes` composes, and one module for each format
writes; a new format is a new module and one more entry in `MAKERS`.
"""

from .ade20k import make_mini_ade20k
from .coco import make_mini_coco
from .imagenet import make_mini_imagenet
from .voc2012 import make_mini_voc2012

# Each maker is called as make(root, train=..., val=..., seed=...) and returns the folder.
MAKERS = {'ade20k': make_mini_ade20k, 'coco': make_mini_coco, 'imagenet': make_mini_imagenet, 'voc2012': make_mini_voc2012}

# Where each set lies below the data root: as the real one does below `data/`.
FOLDERS = {'ade20k': 'ade/ADEChallengeData2016', 'coco': 'coco', 'imagenet': 'imagenet', 'voc2012': 'VOCdevkit/VOC2012'}

__all__ = ['FOLDERS', 'MAKERS', 'make_mini_ade20k', 'make_mini_coco', 'make_mini_imagenet', 'make_mini_voc2012']
