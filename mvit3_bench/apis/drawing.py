"""What drawing results needs in any of the frameworks."""
import copy
from collections.abc import Mapping

import cv2
import numpy as np
from mmengine.structures import BaseDataElement, InstanceData, PixelData
from mmengine.visualization import BaseVisBackend
from mmengine.visualization.utils import img_from_canvas

_READABLE = 360  # pixels of the short side, below which class names cannot be read


def enlarged(image: np.ndarray, sample: BaseDataElement | None) -> tuple[np.ndarray, BaseDataElement | None]:
    """An image and what is in it, by a whole factor, until names of classes in it can be read; boxes end at its edges.

    Args:
        image: (H, W, 3).
        sample: Masks (1, H, W) and boxes of it, or only labels.
    """
    zoom = max(1, -(-_READABLE // min(image.shape[:2])))
    image, sample = cv2.resize(image, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_LINEAR), copy.deepcopy(sample)
    for key, value in sample.items() if sample is not None else ():
        if isinstance(value, PixelData) and 'data' in value:
            mask = value.data.repeat_interleave(zoom, 1).repeat_interleave(zoom, 2)
            sample.set_field(PixelData(data=mask), key, dtype=PixelData)
        elif isinstance(value, InstanceData) and 'bboxes' in value:
            height, width = image.shape[:2]
            boxes = getattr(value.bboxes, 'tensor', value.bboxes) * zoom
            # matplotlib makes room for what sticks out of the image
            value.bboxes = boxes.clamp(boxes.new_zeros(4), boxes.new_tensor([width, height] * 2) - 1)
    return image, sample


def complete_palette(meta: Mapping) -> dict:
    """Metadata of a data set with a colour, a tuple of three numbers, for each class; those that are missing are drawn."""
    known = [tuple(map(int, colour)) for colour in meta.get('palette') or []]
    drawn = np.random.default_rng(0).integers(256, size=(len(meta.get('classes') or ()), 3)).tolist()
    return dict(meta, palette=known + [*map(tuple, drawn[len(known):])])


def rendered(figure) -> np.ndarray:
    """A figure of matplotlib as a picture, (H, W, 3) RGB."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    return img_from_canvas(FigureCanvasAgg(figure))


class KeepBackend(BaseVisBackend):
    """Keeps the latest picture that a visualizer has drawn, in ``image`` (H, W, 3) RGB."""

    def __init__(self):
        super().__init__(save_dir='')
        self.image = None

    def _init_env(self) -> None:
        """There is nothing to set up."""

    @property
    def experiment(self) -> 'KeepBackend':
        """Itself, there is no other."""
        return self

    def add_image(self, name: str, image: np.ndarray, step: int = 0, **kwargs) -> None:
        """Keep a picture."""
        self.image = image
