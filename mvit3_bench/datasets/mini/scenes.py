"""Little landscapes composed of the things in `things.py`, the same for every data set format.

A scene knows its picture and who owns each pixel. A format writer asks it for a label map or for
its instances; nothing here knows of files or of the numbers that a data set gives its classes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from . import things
from .canvas import Canvas


@dataclass(frozen=True)
class Scene:
    """A finished picture and what it depicts.

    Attributes:
        image: (H, W, 3) uint8, RGB.
        owner: (H, W) int32, the thing seen at each pixel: k stands for `names[k - 1]`.
        names: what each thing depicts, from the back of the scene to its front.
    """
    image: np.ndarray
    owner: np.ndarray
    names: tuple[str, ...]

    def label_map(self, labels: Mapping[str, int], other: int = 0) -> np.ndarray:
        """(H, W) uint8 with the label of each pixel; names without a label get `other`."""
        of_owner = [other, *(labels.get(name, other) for name in self.names)]
        return np.uint8(of_owner)[self.owner]

    def instances(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yields (name, visible pixels as (H, W) bool) of each thing not wholly hidden."""
        for number, name in enumerate(self.names, start=1):
            visible = self.owner == number
            if visible.any():
                yield name, visible


def _street(canvas: Canvas) -> None:
    """Houses behind a lawn with trees; in front a road, a car and a passer-by."""
    w, h, between = canvas.width, canvas.height, canvas.between
    ground, kerb = between(0.52, 0.58) * h, between(0.68, 0.72) * h
    things.sky(canvas)
    _balloon_aloft(canvas)
    houses = 3 if w > h else 2
    for x in _spread(canvas, houses, 0, w):
        things.building(canvas, x, ground + between(2, 6), between(0.75, 0.95) * w / houses,
                        between(0.26, 0.42) * h)
    things.grass(canvas, canvas.below(ground + 1.5 * canvas.grain(6, 6)[0]))

    lane, dash = between(0.86, 0.89) * h, between(0.09, 0.12) * w
    dashes = [canvas.box(x, lane - 1.5, x + dash, lane + 1.5)
              for x in np.arange(-between(0, 2) * dash, w, 2 * dash)]
    things.road(canvas, canvas.below(kerb), dashes)

    for x in _spread(canvas, 2, 0.45 * w, w):
        things.tree(canvas, x, between(ground + 5, kerb), between(0.38, 0.5) * h)
    things.car(canvas, between(0.4, 0.75) * w, between(0.83, 0.96) * h, between(0.44, 0.54) * w)
    things.person(canvas, between(0.1, 0.3) * w, between(0.82, 0.97) * h, between(0.38, 0.5) * h)


def _lakeside(canvas: Canvas) -> None:
    """A lake before a mountain range; on the near shore someone among trees."""
    w, h, between = canvas.width, canvas.height, canvas.between
    horizon, shore = between(0.4, 0.48) * h, between(0.68, 0.76) * h
    things.sky(canvas)
    _balloon_aloft(canvas)
    things.mountain(canvas, horizon, between(0.2, 0.32) * h)
    things.water(canvas, canvas.below(horizon))
    things.grass(canvas, canvas.below(shore + 9 * canvas.grain(40, 40)[0]))
    for x in _spread(canvas, 2, 0.5 * w, w):
        things.tree(canvas, x, between(0.8, 0.95) * h, between(0.4, 0.55) * h)
    things.person(canvas, between(0.12, 0.42) * w, between(0.84, 0.97) * h, between(0.4, 0.52) * h)


def _village(canvas: Canvas) -> None:
    """A road that runs from the hills past a house and a pond, with a car on it."""
    w, h, between = canvas.width, canvas.height, canvas.between
    horizon = between(0.4, 0.46) * h
    things.sky(canvas)
    _balloon_aloft(canvas)
    things.mountain(canvas, horizon, between(0.2, 0.3) * h)
    things.grass(canvas, canvas.below(horizon + 2 * canvas.grain(20, 20)[0]))
    things.water(canvas, canvas.ellipse(between(0.78, 0.9) * w, between(0.62, 0.7) * h,
                                        between(0.2, 0.26) * w, between(0.09, 0.12) * h))

    # The road narrows towards a far point; so do the dashes, which get shorter as well.
    far, near, half = between(0.45, 0.6) * w, between(0.4, 0.6) * w, between(0.27, 0.34) * w

    def stretch(start, end, share):
        """The part of the road between two depths, 0 far and 1 near, over a share of its width."""
        sides = [(far + (near - far) * depth + side * share * half * max(depth, 0.05),
                  horizon + (h - horizon) * depth)
                 for side, depths in ((-1, (start, end)), (1, (end, start))) for depth in depths]
        return canvas.polygon(sides)

    dashes = [stretch(depth, 1.18 * depth, 0.07) for depth in 0.12 * 1.4 ** np.arange(7)]
    things.road(canvas, stretch(0, 1.05, 1), dashes)

    things.building(canvas, between(0.14, 0.22) * w, between(0.62, 0.7) * h,
                    between(0.28, 0.36) * w, between(0.26, 0.36) * h)
    things.tree(canvas, between(0.68, 0.9) * w, between(0.55, 0.62) * h, between(0.36, 0.48) * h)
    if canvas.rng.random() < 0.5:
        things.tree(canvas, between(0, 0.1) * w, between(0.85, 0.95) * h, between(0.4, 0.5) * h)
    else:
        things.person(canvas, between(0.08, 0.16) * w, between(0.88, 0.97) * h,
                      between(0.36, 0.46) * h)
    things.car(canvas, near + between(-0.05, 0.2) * w, between(0.82, 0.95) * h,
               between(0.42, 0.52) * w)


def _crossing(canvas: Canvas) -> None:
    """A busy street: cars on the road, stop signs at the kerb, people and a dog on the pavement."""
    w, h, between, many = canvas.width, canvas.height, canvas.between, canvas.rng.integers
    ground, kerb = between(0.42, 0.48) * h, between(0.56, 0.6) * h
    things.sky(canvas)
    for x in _spread(canvas, 2, 0, w):
        things.building(canvas, x, ground + between(2, 6), between(0.35, 0.45) * w, between(0.26, 0.36) * h)
    things.grass(canvas, canvas.below(ground + 1.5 * canvas.grain(6, 6)[0]))
    things.road(canvas, canvas.below(kerb), [])
    for x in _spread(canvas, many(1, 3), 0, w):
        things.stop_sign(canvas, x, between(0.58, 0.66) * h, between(0.36, 0.48) * h)
    for x in _spread(canvas, many(1, 3), 0, w):
        things.car(canvas, x, between(0.7, 0.82) * h, between(0.3, 0.44) * w)
    _people(canvas, many(0, 4), 0.86, 0.98)
    things.dog(canvas, between(0.15, 0.85) * w, between(0.9, 0.98) * h, between(0.2, 0.32) * h)


def _regatta(canvas: Canvas) -> None:
    """Sailing boats on a lake, a kite above, onlookers on the shore."""
    w, h, between, many = canvas.width, canvas.height, canvas.between, canvas.rng.integers
    horizon, shore = between(0.36, 0.42) * h, between(0.72, 0.78) * h
    things.sky(canvas)
    things.mountain(canvas, horizon, between(0.12, 0.22) * h)
    things.water(canvas, canvas.below(horizon))
    for x in _spread(canvas, many(2, 4), 0, w):
        things.boat(canvas, x, between(0.54, 0.7) * h, between(0.24, 0.4) * h)
    things.grass(canvas, canvas.below(shore + 5 * canvas.grain(40, 40)[0]))
    things.kite(canvas, between(0.15, 0.85) * w, between(0.15, 0.2) * h, between(0.18, 0.24) * h)
    _people(canvas, many(0, 4), 0.86, 0.98)
    if canvas.rng.random() < 0.5:
        things.dog(canvas, between(0.15, 0.85) * w, between(0.9, 0.98) * h, between(0.2, 0.32) * h)


def _meadow(canvas: Canvas) -> None:
    """Kites over a meadow, with people from near to far, dogs, a tree, a parked car, perhaps a distant group."""
    w, h, between, many = canvas.width, canvas.height, canvas.between, canvas.rng.integers
    horizon = between(0.4, 0.46) * h
    things.sky(canvas)
    _balloon_aloft(canvas)
    for x in _spread(canvas, many(1, 4), 0, w):
        things.kite(canvas, x, between(0.14, 0.24) * h, between(0.18, 0.28) * h)
    things.grass(canvas, canvas.below(horizon + 2 * canvas.grain(20, 20)[0]))
    if canvas.rng.random() < 0.5:
        for x in between(0.2, 0.8) * w + 0.06 * w * np.arange(many(2, 5)):
            things.person(canvas, x, horizon + between(0.04, 0.07) * h, between(0.12, 0.14) * h)
    things.tree(canvas, between(0.1, 0.9) * w, between(0.55, 0.62) * h, between(0.36, 0.48) * h)
    things.car(canvas, between(0.2, 0.8) * w, between(0.6, 0.72) * h, between(0.3, 0.42) * w)
    _people(canvas, many(2, 7), 0.7, 0.98)
    for x in _spread(canvas, many(1, 3), 0, w):
        things.dog(canvas, x, between(0.85, 0.98) * h, between(0.2, 0.32) * h)


# What a scene may show: landscapes cover each pixel with stuff, outings are full of things to count.
LANDSCAPES = (_street, _lakeside, _village)
OUTINGS = (_crossing, _regatta, _meadow)


def draw_scene(rng: np.random.Generator, index: int,
               settings: Sequence[Callable[[Canvas], None]] = LANDSCAPES) -> Scene:
    """Draws one scene of about 160 x 128 pixels, every third one upright.

    The settings take turns by `index` so that classes are balanced even in a small set: three
    scenes in a row show every thing there is.
    """
    width, height = int(rng.integers(152, 177)), int(rng.integers(120, 137))
    if rng.random() < 1 / 3:
        width, height = height, width
    canvas = Canvas(width, height, rng)
    settings[index % len(settings)](canvas)
    flip = slice(None, None, -1 if rng.random() < 0.5 else 1)
    return Scene(_exposed(canvas)[:, flip], canvas.owner[:, flip], tuple(canvas.names))


def _people(canvas: Canvas, count: int, far: float, near: float) -> None:
    """People side by side, each of whom stands between two heights of the picture; far ones are smaller."""
    stands = np.sort(canvas.rng.uniform(far, near, count))  # who is nearer is painted later
    places = canvas.rng.permutation(_spread(canvas, count, 0, canvas.width))
    for x, stand in zip(places, stands, strict=True):
        things.person(canvas, x, stand * canvas.height, canvas.between(0.38, 0.48) * stand * canvas.height)


def _spread(canvas: Canvas, count: int, start: float, end: float) -> np.ndarray:
    """`count` positions, one in each equal part of the interval and near the middle of its part."""
    offsets = np.arange(count) + 0.5 + canvas.rng.uniform(-0.2, 0.2, count)
    return start + (end - start) * offsets / count


def _balloon_aloft(canvas: Canvas) -> None:
    """A balloon high in the sky."""
    radius = canvas.between(0.05, 0.075) * canvas.height
    things.balloon(canvas, canvas.between(0.1, 0.9) * canvas.width,
                   canvas.between(0.09, 0.16) * canvas.height, radius)


def _exposed(canvas: Canvas) -> np.ndarray:
    """The picture as a camera would take it: brightness, tint, light from one side, noise."""
    light = canvas.rng.uniform(0.8, 1.1) * canvas.rng.uniform(0.94, 1.06, 3)
    side = 1 + canvas.between(-0.15, 0.15) * (2 * canvas.x / canvas.width - 1)
    noise = canvas.rng.normal(0, canvas.between(0.01, 0.03), canvas.image.shape)
    image = canvas.image * light * side[..., None] + noise
    return np.uint8(np.round(255 * image.clip(0, 1)))
