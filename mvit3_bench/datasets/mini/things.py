"""How each thing is drawn: its shape, its colours, its texture.

Every thing has its texture, and several share colours on purpose: trees and grass are
green, sky and water blue, roads, mountains and many buildings grey. A model that looks at colour
alone confuses them; one that looks at a few pixels around does not.
"""

import numpy as np

from .canvas import Canvas, hsv


def sky(canvas: Canvas) -> None:
    """Fills the canvas: deep blue above, pale below, with faint clouds."""
    canvas.begin('sky')
    hue, depth = canvas.between(0.55, 0.61), canvas.between(0.45, 0.7)
    height = (canvas.y / (0.6 * canvas.height)).clip(0, 1)[..., None]
    colour = hsv(hue, depth, 0.85) * (1 - height) + hsv(hue - 0.02, 0.15, 0.97) * height
    cloud = (canvas.grain(34, 11) + 0.4 * canvas.grain(10, 5)).clip(0, 0.8)[..., None]
    canvas.fill(canvas.below(-1), colour * (1 - cloud) + cloud)


def mountain(canvas: Canvas, base: float, height: float) -> None:
    """A range across the picture that stands on `base`: slanting ridges, snow on the peaks."""
    canvas.begin('mountain')
    spacing = canvas.between(0.38, 0.55) * canvas.width
    slope = np.abs((canvas.x[0] / spacing + canvas.between(0, 1)) % 1 - 0.5) * 2  # 1 at a peak
    ridge = base - height * (0.3 + 0.7 * slope) + 5 * canvas.grain(9, 9)[0]
    rock = hsv(canvas.between(0.6, 0.75), canvas.between(0.12, 0.25), canvas.between(0.4, 0.5))
    folds = np.sin((canvas.x + 0.9 * canvas.y) * 0.55 + 3 * canvas.grain(14, 14))
    canvas.fill(canvas.below(ridge), canvas.textured(rock, 0.28 * folds))
    snow_line = base - 0.72 * height + 4 * canvas.grain(5, 5)[0]
    snow = canvas.below(ridge) * (1 - canvas.below(snow_line))
    canvas.fill(snow, canvas.textured(np.float32([0.9, 0.92, 0.97]), 0.12 * folds))


def water(canvas: Canvas, mask: np.ndarray) -> None:
    """A surface of blue, crossed by flat waves."""
    canvas.begin('water')
    blue = hsv(canvas.between(0.53, 0.6), canvas.between(0.55, 0.75), canvas.between(0.55, 0.75))
    phase = canvas.y * canvas.between(1.1, 1.5) + 2.5 * canvas.grain(18, 6)
    glitter = 0.5 * canvas.grain(7, 1.5).clip(0.3, 1) - 0.15
    canvas.fill(mask, canvas.textured(blue, 0.22 * np.sin(phase), glitter))


def grass(canvas: Canvas, mask: np.ndarray) -> None:
    """A lawn of upright blades, lighter and darker in patches."""
    canvas.begin('grass')
    green = hsv(canvas.between(0.23, 0.31), canvas.between(0.55, 0.75), canvas.between(0.5, 0.65))
    canvas.fill(
        mask, canvas.textured(green, 0.5 * canvas.grain(1.2, 7), 0.15 * canvas.grain(25, 12)))


def road(canvas: Canvas, mask: np.ndarray, dashes: list[np.ndarray]) -> None:
    """Speckled asphalt with the painted dashes, each of which is a mask."""
    canvas.begin('road')
    asphalt = hsv(canvas.between(0.55, 0.75), 0.05, canvas.between(0.28, 0.4))
    canvas.fill(mask, canvas.textured(asphalt, 0.25 * canvas.grain(1, 1)))
    paint = hsv(0.14, canvas.rng.choice([0.05, 0.6]), 0.92)
    for dash in dashes:
        canvas.fill(dash * mask, paint)


def building(canvas: Canvas, x: float, base: float, width: float, height: float) -> None:
    """A plastered or brick house centred on `x`: rows of windows, a door, a flat or gable roof."""
    canvas.begin('building')
    left, right, top = x - width / 2, x + width / 2, base - height
    hue, saturation = canvas.rng.choice([(0.6, 0.08), (0.1, 0.25), (0.04, 0.4), (0.08, 0.1)])
    plaster = hsv(hue + canvas.between(-0.02, 0.02), saturation, canvas.between(0.6, 0.8))
    roof = hsv(canvas.between(0, 0.05), canvas.between(0.3, 0.6), canvas.between(0.35, 0.45))
    if canvas.rng.random() < 0.5:
        rise = min(0.45 * width, 0.3 * height)
        gable = [(left - 3, top + 1), (x, top - rise), (right + 3, top + 1)]
        canvas.fill(canvas.polygon(gable), canvas.textured(roof, 0.25 * np.sin(canvas.y * 2)))
    else:
        canvas.fill(canvas.box(left - 2, top - 3, right + 2, top + 1), roof)
    mortar = 0.1 * np.sign(np.sin(canvas.y * 2.1))
    canvas.fill(canvas.box(left, top, right, base), canvas.textured(plaster, mortar))

    lit, dark = hsv(0.13, 0.5, 0.95), hsv(0.58, 0.4, 0.28)
    columns, rows = max(2, int(width / 10)), max(2, int(height / 13))
    for row in range(rows):
        for column in range(columns):
            wx = left + (column + 0.5) * width / columns
            wy = top + (row + 0.5) * height / rows
            pane = canvas.box(wx - 2.2, wy - 3.2, wx + 2.2, wy + 3.2)
            canvas.fill(pane, lit if canvas.rng.random() < 0.2 else dark)
    canvas.fill(canvas.box(x - 3, base - 10, x + 3, base), hsv(0.07, 0.6, 0.35))


def tree(canvas: Canvas, x: float, base: float, height: float) -> None:
    """A round, clumpy crown on a brown trunk that stands at (x, base)."""
    canvas.begin('tree')
    radius, middle = 0.34 * height, base - 0.64 * height
    canvas.shade(canvas.ellipse(x, base, radius, 0.05 * height), 0.4)
    bark = canvas.textured(hsv(0.07, 0.5, canvas.between(0.3, 0.42)), 0.3 * canvas.grain(1, 9))
    canvas.fill(canvas.box(x - 0.06 * height, middle, x + 0.06 * height, base), bark)

    green = hsv(canvas.between(0.25, 0.36), canvas.between(0.55, 0.75), canvas.between(0.36, 0.5))
    start = canvas.between(0, 1)
    crown = canvas.ellipse(x, middle, 0.8 * radius, 0.8 * radius)
    for turn in 2 * np.pi * (start + np.arange(6) / 6):
        size = radius * canvas.between(0.42, 0.58)
        clump = canvas.ellipse(
            x + 0.6 * radius * np.cos(turn), middle + 0.6 * radius * np.sin(turn), size, size)
        crown = np.maximum(crown, clump)
    light = 0.25 * ((middle - canvas.y) + (x - canvas.x)) / radius
    canvas.fill(crown, canvas.textured(green, light.clip(-0.4, 0.4), 0.55 * canvas.grain(4, 4)))


def car(canvas: Canvas, x: float, base: float, length: float) -> None:
    """A glossy car seen from the side, its wheels on `base`."""
    canvas.begin('car')
    hue = canvas.rng.choice([0.0, 0.02, 0.1, 0.14, 0.6, 0.64])
    tone = hsv(hue, canvas.between(0.75, 0.95), canvas.between(0.65, 0.9))
    unit = length / 10  # the outlines below are drawn ten units long

    def outline(*points):
        return canvas.polygon([(x + px * unit, base - py * unit) for px, py in points])

    canvas.shade(canvas.ellipse(x, base, 5.2 * unit, 0.6 * unit), 0.5)
    gloss = 0.35 * np.cos((base - canvas.y) / unit * 1.3)
    paint = canvas.textured(tone, gloss)
    canvas.fill(outline((-3, 2.5), (-1.9, 4.4), (1.6, 4.4), (3, 2.5)), paint)
    canvas.fill(outline((-5, 0.7), (-5, 2.2), (-4.5, 2.7), (4.2, 2.7), (5, 2), (5, 0.7)), paint)
    glass = hsv(0.55, 0.25, canvas.between(0.7, 0.85))
    canvas.fill(outline((-2.3, 2.7), (-1.6, 4), (-0.2, 4), (-0.2, 2.7)), glass)
    canvas.fill(outline((0.2, 2.7), (0.2, 4), (1.3, 4), (2.2, 2.7)), glass)
    canvas.fill(canvas.ellipse(x + 4.7 * unit, base - 2 * unit, 0.3 * unit, 0.35 * unit),
                hsv(0.15, 0.3, 1))
    for wheel in (x - 2.8 * unit, x + 2.8 * unit):
        canvas.fill(canvas.ellipse(wheel, base - unit, 1.1 * unit, 1.1 * unit), hsv(0, 0, 0.1))
        canvas.fill(canvas.ellipse(wheel, base - unit, 0.5 * unit, 0.5 * unit), hsv(0, 0, 0.7))


def person(canvas: Canvas, x: float, base: float, height: float) -> None:
    """Someone in a striped jersey and jeans, standing at (x, base)."""
    canvas.begin('person')
    unit = height / 10  # the figure below is ten units tall

    def outline(*points):
        return canvas.polygon([(x + px * unit, base - py * unit) for px, py in points])

    canvas.shade(canvas.ellipse(x, base, 2 * unit, 0.4 * unit), 0.4)
    skin = hsv(canvas.between(0.05, 0.08), canvas.between(0.35, 0.6), canvas.between(0.55, 0.95))
    hair = hsv(0.07, canvas.between(0.3, 0.7), canvas.between(0.1, 0.5))
    jeans = canvas.textured(hsv(0.63, 0.5, canvas.between(0.3, 0.42)), 0.2 * canvas.grain(1, 2))
    dyed = hsv(canvas.between(0.8, 1.08), canvas.between(0.6, 0.85), canvas.between(0.7, 0.9))
    stripe = (np.sin(canvas.y * 2 * np.pi / max(4, unit)) > 0)[..., None]
    jersey = np.where(stripe, dyed, np.float32([0.95, 0.93, 0.88]))

    canvas.fill(outline((-1.5, 4.6), (-1.5, 0), (-0.15, 0), (0, 3), (0.15, 0), (1.5, 0),
                        (1.5, 4.6)), jeans)
    for side in (-1, 1):
        swing = canvas.between(0, 0.8)
        canvas.fill(outline((side * 1.2, 7.9), (side * (2.1 + swing), 4.6),
                            (side * (2.9 + swing), 4.9), (side * 1.9, 8)), jersey)
    canvas.fill(outline((-1.6, 4.4), (-1.8, 7.7), (-1.2, 8.1), (1.2, 8.1), (1.8, 7.7),
                        (1.6, 4.4)), jersey)
    head = base - 9 * unit
    canvas.fill(canvas.ellipse(x, head - 0.2 * unit, 1.15 * unit, 1.25 * unit), hair)
    canvas.fill(canvas.ellipse(x, head + 0.15 * unit, 0.9 * unit, 0.95 * unit), skin)


def balloon(canvas: Canvas, x: float, y: float, radius: float) -> None:
    """A hot-air balloon in gaudy panels: what no data set here has a class for."""
    canvas.begin('balloon')
    hue = canvas.between(0.75, 0.92)
    panel = (np.sin((canvas.x - x) / radius * 7) > 0)[..., None]
    silk = np.where(panel, hsv(hue, 0.8, 0.85), hsv(0.45, 0.7, 0.85))
    neck = [(x - 0.85 * radius, y + 0.5 * radius), (x - 0.25 * radius, y + 1.4 * radius),
            (x + 0.25 * radius, y + 1.4 * radius), (x + 0.85 * radius, y + 0.5 * radius)]
    canvas.fill(np.maximum(canvas.ellipse(x, y, radius, radius), canvas.polygon(neck)), silk)
    canvas.fill(canvas.box(x - 0.25 * radius, y + 1.55 * radius, x + 0.25 * radius,
                           y + 1.95 * radius), hsv(0.08, 0.6, 0.4))


def boat(canvas: Canvas, x: float, base: float, length: float) -> None:
    """A sailing boat from the side, its hull in the water down to `base`."""
    canvas.begin('boat')
    unit = length / 10 * canvas.rng.choice([-1, 1])  # the outlines are ten units long, bow right or left

    def outline(*points):
        return canvas.polygon([(x + px * unit, base - py * abs(unit)) for px, py in points])

    canvas.shade(canvas.ellipse(x, base + 0.3 * abs(unit), 5 * abs(unit), 0.8 * abs(unit)), 0.35)
    hull = hsv(canvas.rng.choice([0.0, 0.08, 0.65]), canvas.between(0.5, 0.8), canvas.between(0.35, 0.6))
    planks = 0.2 * np.sign(np.sin(canvas.y * 2))
    canvas.fill(outline((-4.4, 1.9), (-3.6, 0), (3.2, 0), (5, 2.3)), canvas.textured(hull, planks))
    canvas.fill(outline((-4.4, 1.9), (-4.25, 1.4), (4.6, 1.75), (5, 2.3)), hsv(0, 0, 0.95))
    canvas.fill(outline((-0.3, 1.9), (-0.3, 9.6), (0.1, 9.6), (0.1, 1.9)), hsv(0.08, 0.5, 0.3))
    seam = 0.12 * np.sign(np.sin((canvas.y + canvas.x) * 0.8))
    sail = canvas.textured(hsv(0.12, canvas.rng.choice([0.05, 0.6]), 0.95), seam)
    canvas.fill(outline((0.1, 9.3), (0.1, 2.7), (4.2, 3)), sail)
    canvas.fill(outline((-0.3, 8.6), (-0.3, 2.7), (-3.9, 2.7)), sail)


def dog(canvas: Canvas, x: float, base: float, length: float) -> None:
    """A spotted dog from the side, its paws on `base`."""
    canvas.begin('dog')
    unit = length / 10 * canvas.rng.choice([-1, 1])  # ten units from tail to nose, to the right or left
    size = abs(unit)

    def outline(*points):
        return canvas.polygon([(x + px * unit, base - py * size) for px, py in points])

    canvas.shade(canvas.ellipse(x, base, 4.4 * size, 0.5 * size), 0.4)
    coat = hsv(canvas.between(0.06, 0.1), canvas.between(0.1, 0.55), canvas.between(0.75, 0.95))
    spots = hsv(0.06, canvas.between(0.3, 0.7), canvas.between(0.12, 0.3))
    speckled = np.where((canvas.grain(5, 5) > 0.25)[..., None], spots, coat)
    for leg in (-3, -1.9, 1.2, 2.2):
        canvas.fill(outline((leg - 0.5, 3), (leg - 0.4, 0), (leg + 0.5, 0), (leg + 0.5, 3)), coat)
    canvas.fill(outline((-2.8, 4.3), (-4.6, 7), (-5, 6.6), (-3.6, 3.6)), coat)
    canvas.fill(outline((-3.7, 3), (-3.4, 4.8), (2, 5.2), (3, 4.2), (2.8, 2.4), (-3, 2.2)), speckled)
    canvas.fill(outline((1.2, 4.4), (2.2, 7), (3.6, 6.4), (3, 3.6)), coat)
    canvas.fill(canvas.ellipse(x + 3 * unit, base - 6.5 * size, 1.4 * size, 1.2 * size), coat)
    canvas.fill(outline((3, 6.9), (5, 6.3), (5, 5.5), (3.2, 5.3)), coat)
    canvas.fill(outline((1.7, 7.5), (2.9, 7.5), (2.3, 4.8), (1.5, 5.2)), spots)
    for px, py, radius in ((4.8, 6.2, 0.35), (3.6, 6.9, 0.25)):  # nose and eye
        canvas.fill(canvas.ellipse(x + px * unit, base - py * size, radius * size, radius * size), hsv(0, 0, 0.05))


def stop_sign(canvas: Canvas, x: float, base: float, height: float) -> None:
    """A red octagon with white letters on a pole that stands at (x, base)."""
    canvas.begin('stop sign')
    radius = 0.26 * height
    middle, turn = base - height + radius, np.pi / 8 + np.arange(8) * np.pi / 4

    def octagon(size):
        return canvas.polygon(np.stack([x + size * np.cos(turn), middle + size * np.sin(turn)], axis=1))

    canvas.fill(canvas.box(x - 0.035 * height, middle, x + 0.035 * height, base), hsv(0, 0, canvas.between(0.55, 0.7)))
    canvas.fill(octagon(radius), hsv(0, 0, 0.95))
    canvas.fill(octagon(0.88 * radius), hsv(canvas.between(-0.02, 0.01), 0.9, canvas.between(0.7, 0.85)))
    for letter in (-0.54, -0.18, 0.18, 0.54):
        canvas.fill(canvas.box(x + (letter - 0.1) * radius, middle - 0.26 * radius,
                               x + (letter + 0.1) * radius, middle + 0.26 * radius), hsv(0, 0, 0.95))


def kite(canvas: Canvas, x: float, y: float, size: float) -> None:
    """A leaning diamond of four panels in two colours, with a tail of bows, around (x, y)."""
    canvas.begin('kite')
    lean = canvas.between(-0.5, 0.5)
    across, along = np.array([np.cos(lean), np.sin(lean)]), np.array([-np.sin(lean), np.cos(lean)])

    def outline(*points):
        return canvas.polygon([np.array([x, y]) + size * (px * across + py * along) for px, py in points])

    hue = canvas.between(0, 1)
    colours = hsv(hue, 0.85, 0.95), hsv(hue + canvas.between(0.3, 0.5), 0.8, 0.85)
    corners = (0, -0.6), (0.45, -0.15), (0, 0.6), (-0.45, -0.15)
    for side, corner in enumerate(corners):
        canvas.fill(outline((0, -0.15), corner, corners[side - 1]), colours[side % 2])
    for bow in (0.68, 0.84, 1):
        sway = 0.08 * np.sin(9 * bow)
        canvas.fill(outline((sway - 0.1, bow - 0.06), (sway + 0.1, bow + 0.06), (sway + 0.1, bow - 0.06),
                            (sway - 0.1, bow + 0.06)), colours[0])
    canvas.fill(outline((-0.02, 0.5), (0.02, 0.5), (0.02, 1.05), (-0.02, 1.05)), colours[1])


def umbrella(canvas: Canvas, x: float, base: float, height: float) -> None:
    """An open umbrella in panels of two colours, its handle down to (x, base)."""
    canvas.begin('umbrella')
    radius, rim = 0.55 * height, base - 0.5 * height
    canvas.fill(canvas.box(x - 0.02 * height, base - height, x + 0.02 * height, base), hsv(0.08, 0.5, 0.3))
    hook = np.maximum(canvas.ellipse(x + 0.06 * height, base, 0.08 * height, 0.07 * height) - canvas.ellipse(
        x + 0.06 * height, base, 0.04 * height, 0.035 * height), 0) * canvas.below(base)
    canvas.fill(hook, hsv(0.08, 0.5, 0.3))
    hue = canvas.between(0, 1)
    panel = (np.sin(np.arctan2(rim - canvas.y, canvas.x - x) * 8) > 0)[..., None]
    cloth = np.where(panel, hsv(hue, 0.8, 0.9), hsv(hue + 0.4, canvas.rng.choice([0.1, 0.7]), 0.9))
    scallops = rim - 0.06 * height * np.abs(np.sin((canvas.x[0] - x) / radius * 2 * np.pi))
    canvas.fill(canvas.ellipse(x, rim, radius, 0.45 * height) * (1 - canvas.below(scallops)), cloth)


def daisy(canvas: Canvas, x: float, base: float, height: float) -> None:
    """A flower of white petals around a yellow middle, on a stalk that stands at (x, base)."""
    canvas.begin('daisy')
    radius = 0.3 * height
    middle = base - height + radius
    green = hsv(canvas.between(0.25, 0.33), 0.6, canvas.between(0.35, 0.5))
    canvas.fill(canvas.box(x - 0.02 * height, middle, x + 0.02 * height, base), green)
    petals = hsv(0.13, canvas.between(0, 0.12), canvas.between(0.9, 1))
    count, start = canvas.rng.integers(11, 16), canvas.between(0, 1)
    for turn in 2 * np.pi * (start + np.arange(count)) / count:
        tip, side = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
        leaf = [np.array([x, middle]) + radius * (along * tip + across * side)
                for along, across in ((0.2, 0), (0.6, 0.17), (0.95, 0.08), (0.95, -0.08), (0.6, -0.17))]
        canvas.fill(canvas.polygon(leaf), canvas.textured(petals, 0.06 * canvas.grain(2, 2)))
    canvas.fill(canvas.ellipse(x, middle, 0.32 * radius, 0.32 * radius),
                canvas.textured(hsv(0.13, 0.9, 0.9), 0.25 * canvas.grain(1, 1)))
