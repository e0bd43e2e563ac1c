"""The two distortions of colours that the published recipes train with; both change ``img``, (H, W, 3) uint8 BGR."""
import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from PIL import Image
from torchvision.transforms.v2 import RandomPhotometricDistort

from ...registry import TRANSFORMS


def scaled(factor: float = 1, shift: float = 0) -> np.ndarray:
    """What becomes of each value of 8 bits: times a factor, plus a shift, clipped; a table (256,) of uint8."""
    return (np.arange(256) * factor + shift).clip(0, 255).astype(np.uint8)


def _coin() -> bool:
    return np.random.rand() < 0.5


@TRANSFORMS.register_module()
class PhotometricDistortionV1(BaseTransform):
    """The distortion of the v1 type, in 8 bits: each step rounds down and clips to 0 .. 255.

    Each with probability 0.5: contrast; brightness; saturation and hue, between which and BGR OpenCV converts in any case;
    contrast, if it was not changed before; a permutation of the channels. A hue that leaves 0 .. 255 is clipped, not
    wrapped.

    Args:
        brightness: Largest shift of the brightness, of 255.
        contrast: Range of the factor of the contrast.
        saturation: Range of the factor of the saturation.
        hue: Largest shift of the hue, of 180, which are a turn.
    """

    def __init__(self, brightness: float = 51, contrast: tuple[float, float] = (0.5, 1.5),
                 saturation: tuple[float, float] = (0.5, 1.5), hue: float = 12):
        self.brightness, self.contrast, self.saturation, self.hue = brightness, contrast, saturation, hue

    def transform(self, results: dict) -> dict:
        image = results['img']
        contrast_first = _coin()
        if contrast_first:
            image = self._change_contrast(image)
        if _coin():
            image = cv2.LUT(image, scaled(shift=np.random.uniform(-self.brightness, self.brightness)))
        image = self._change_saturation_and_hue(image)
        if not contrast_first and _coin():
            image = self._change_contrast(image)
        if _coin():
            image = np.ascontiguousarray(image[..., np.random.permutation(3)])
        results['img'] = image
        return results

    def _change_contrast(self, image: np.ndarray) -> np.ndarray:
        return cv2.LUT(image, scaled(np.random.uniform(*self.contrast)))

    def _change_saturation_and_hue(self, image: np.ndarray) -> np.ndarray:
        tables = np.stack([scaled()] * 3, axis=-1)
        if _coin():
            tables[:, 1] = scaled(np.random.uniform(*self.saturation))
        if _coin():
            tables[:, 0] = scaled(shift=np.random.uniform(-self.hue, self.hue))
        image = cv2.LUT(cv2.cvtColor(image, cv2.COLOR_BGR2HSV), tables[None])
        return cv2.cvtColor(image, cv2.COLOR_HSV2BGR)

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(brightness={self.brightness}, contrast={self.contrast}, '
                f'saturation={self.saturation}, hue={self.hue})')


@TRANSFORMS.register_module()
class PhotometricDistortionV2(BaseTransform):
    """The distortion of the v2 type, torchvision's on a PIL image.

    Each with probability 0.5: brightness, contrast (before or after the next two), saturation, hue, a permutation of the
    channels.

    Args:
        **ranges: As in ``torchvision.transforms.v2.RandomPhotometricDistort``.
    """

    def __init__(self, **ranges):
        self.distort = RandomPhotometricDistort(**ranges)

    def transform(self, results: dict) -> dict:
        image = Image.fromarray(cv2.cvtColor(results['img'], cv2.COLOR_BGR2RGB))
        draw = self.distort.make_params([image])
        order = draw['channel_permutation']
        # torchvision permutes a PIL image by way of a tensor, which takes longer than all but the hue
        image = np.asarray(self.distort.transform(image, draw | dict(channel_permutation=None)))
        if order is not None:
            image = cv2.merge([cv2.extractChannel(image, channel) for channel in order.tolist()])
        results['img'] = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.distort})'
