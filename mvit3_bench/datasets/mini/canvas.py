"""A canvas that remembers, for every pixel, which thing was painted there last."""

import colorsys

import cv2
import numpy as np

# cv2.fillPoly takes integers; with four binary digits after the point, edges move smoothly.
_FRACTION_BITS = 4


def hsv(hue: float, saturation: float, value: float) -> np.ndarray:
    """The colour as (3,) float32 RGB in 0..1; the hue wraps around, the others are clipped."""
    saturation, value = np.clip((saturation, value), 0, 1)
    return np.float32(colorsys.hsv_to_rgb(hue % 1, saturation, value))


class Canvas:
    """A picture painted back to front: whoever paints a pixel last owns it.

    A *mask* is how much of each pixel a shape covers, (H, W) float32 in 0..1. A *colour* is
    RGB in 0..1: one (3,) for the whole shape, one for every pixel (H, W, 3), or what broadcasts to
    that. Positions are in pixels, x to the right and y downwards.

    Attributes:
        rng: the only source of chance, so that one seed gives one picture.
        image: (H, W, 3) float32, RGB in 0..1.
        owner: (H, W) int32; 0 where nothing was painted, k for the k-th thing begun.
        names: what the things depict; that of thing k is at index k - 1.
        x: the column of each pixel, shaped (1, W) to broadcast.
        y: the row of each pixel, shaped (H, 1).
    """

    def __init__(self, width: int, height: int, rng: np.random.Generator):
        self.width, self.height, self.rng = width, height, rng
        self.image = np.zeros((height, width, 3), np.float32)
        self.owner = np.zeros((height, width), np.int32)
        self.names: list[str] = []
        self.x = np.arange(width, dtype=np.float32)[None, :]
        self.y = np.arange(height, dtype=np.float32)[:, None]

    # Painting

    def begin(self, name: str) -> None:
        """Starts a new thing; all that is filled from here on belongs to it."""
        self.names.append(name)

    def fill(self, mask: np.ndarray, colour: np.ndarray) -> None:
        """Paints the shape in the colour, for the thing begun last."""
        alpha = mask[..., None]
        self.image = self.image * (1 - alpha) + np.asarray(colour, np.float32) * alpha
        self.owner[mask >= 0.5] = len(self.names)

    def shade(self, mask: np.ndarray, strength: float) -> None:
        """Darkens what is already there: a shadow belongs to the thing it falls on."""
        self.image *= 1 - strength * mask[..., None]

    # Shapes: each returns a mask

    def polygon(self, points) -> np.ndarray:
        """The inside of a closed outline of (x, y) points, with smooth edges."""
        mask = np.zeros((self.height, self.width), np.uint8)
        fixed = np.round(np.asarray(points) * 2**_FRACTION_BITS).astype(np.int32)
        cv2.fillPoly(mask, [fixed], 255, cv2.LINE_AA, _FRACTION_BITS)
        return np.float32(mask) / 255

    def ellipse(self, x: float, y: float, rx: float, ry: float) -> np.ndarray:
        """An upright ellipse by its centre and radii."""
        turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
        return self.polygon(np.stack([x + rx * np.cos(turn), y + ry * np.sin(turn)], axis=1))

    def box(self, left: float, top: float, right: float, bottom: float) -> np.ndarray:
        """An upright rectangle by its sides."""
        return self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)])

    def below(self, line) -> np.ndarray:
        """All that lies under a line: one height, or one for each column as (W,)."""
        mask = np.clip(self.y - line + 0.5, 0, 1)
        return np.float32(np.broadcast_to(mask, (self.height, self.width)))

    # Chance

    def between(self, low: float, high: float) -> float:
        """A number drawn evenly from the interval."""
        return float(self.rng.uniform(low, high))

    def grain(self, across: float, down: float) -> np.ndarray:
        """Smooth noise of (H, W) around 0, mostly within -1..1, with specks of the given size.

        The two sizes make the texture: tall specks read as grass, flat ones as waves.
        """
        rows, columns = int(self.height / down) + 2, int(self.width / across) + 2
        coarse = self.rng.normal(0, 0.5, (rows, columns)).astype(np.float32)
        return cv2.resize(coarse, (self.width, self.height), interpolation=cv2.INTER_CUBIC)

    def textured(self, colour: np.ndarray, *layers: np.ndarray) -> np.ndarray:
        """The colour for every pixel, made lighter and darker by layers that add up to (H, W)."""
        return colour * np.clip(1 + sum(layers), 0.2, 2)[..., None]
