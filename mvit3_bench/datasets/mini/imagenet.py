"""A miniature ImageNet-1K: drawn pictures of one thing each, in the folders and with the labels of the real one."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from . import things
from .canvas import Canvas
from .common import check_arguments, readme_head, write_jpeg
from .folder import make_folder_once
from .scenes import draw_scene

_VERSION = 1  # to be raised when the same seed begins to give other pictures
_SPLITS = ('train', 'val')


def _meadow(canvas: Canvas) -> None:
    """A lawn under the sky, perhaps with a tree."""
    things.sky(canvas)
    things.grass(canvas, canvas.below(canvas.between(0.3, 0.6) * canvas.height))
    if canvas.rng.random() < 0.5:
        things.tree(canvas, canvas.between(0, 1) * canvas.width, 0.7 * canvas.height, 0.5 * canvas.height)


def _street(canvas: Canvas) -> None:
    """A house behind a road, perhaps with a passer-by."""
    w, h = canvas.width, canvas.height
    things.sky(canvas)
    things.building(canvas, canvas.between(0.2, 0.8) * w, 0.62 * h, 0.6 * w, canvas.between(0.3, 0.45) * h)
    things.road(canvas, canvas.below(0.6 * h), [])
    if canvas.rng.random() < 0.5:
        things.person(canvas, canvas.between(0, 1) * w, 0.75 * h, 0.4 * h)


def _shore(canvas: Canvas) -> None:
    """Water up to the horizon."""
    things.sky(canvas)
    things.water(canvas, canvas.below(canvas.between(0.3, 0.55) * canvas.height))


def _alp(canvas: Canvas) -> None:
    """Mountains over a meadow or a lake."""
    base = canvas.between(0.65, 0.85) * canvas.height
    things.sky(canvas)
    things.mountain(canvas, base, canvas.between(0.35, 0.6) * canvas.height)
    ground = things.grass if canvas.rng.random() < 0.5 else things.water
    ground(canvas, canvas.below(base))


def _anywhere(thing: Callable[[Canvas, float, float, float], None], low: float, high: float, canvas: Canvas) -> None:
    """Any backdrop, and before it the thing, whose size is a share of the picture from low to high."""
    backdrops = (_meadow, _street, _shore)
    backdrops[canvas.rng.integers(len(backdrops))](canvas)
    thing(canvas, canvas.between(0.42, 0.58) * canvas.width, canvas.between(0.85, 0.95) * canvas.height,
          canvas.between(low, high) * min(canvas.width, canvas.height))


def _balloon(canvas: Canvas, x: float, base: float, height: float) -> None:
    things.balloon(canvas, x, base - 0.6 * height, 0.32 * height)


# Folder of the class in ImageNet -> its number among the 1000 classes, its name, and how it is drawn.
SYNSETS = {
    'n02110341': (251, 'dalmatian', partial(_anywhere, things.dog, 0.75, 1.0)),
    'n02782093': (417, 'balloon', partial(_anywhere, _balloon, 0.7, 1.1)),
    'n04285008': (817, 'sports car', partial(_anywhere, things.car, 0.8, 1.1)),
    'n04507155': (879, 'umbrella', partial(_anywhere, things.umbrella, 0.65, 0.9)),
    'n04612504': (914, 'yawl', partial(_anywhere, things.boat, 0.75, 1.0)),
    'n06794110': (919, 'street sign', partial(_anywhere, things.stop_sign, 0.7, 0.95)),
    'n09193705': (970, 'alp', _alp),
    'n11939491': (985, 'daisy', partial(_anywhere, things.daisy, 0.75, 1.0)),
}


def make_mini_imagenet(root: str | Path, *, train: int = 240, val: int = 80, seed: int = 0) -> Path:
    """Draws a miniature ImageNet-1K, or reuses the one that the same call made before.

    `root` gets what mmpretrain's `ImageNet` reads as `data/imagenet`: `train/n02110341/n02110341_1.JPEG` and
    `val/ILSVRC2012_val_00000001.JPEG` of about 160 x 128 pixels, and `meta/{train,val}.txt` with the file and the
    number of its class in each line. The eight classes of `SYNSETS` take turns; their numbers are ImageNet's, so that
    a model of 1000 classes fits. `README.txt` tells how often each occurs, `mini.json` with what the set was made.

    Arguments, result, errors and what the same seed gives are those of `make_mini_ade20k`.
    """
    check_arguments(train, val, seed)
    recipe = dict(format='imagenet', version=_VERSION, seed=seed, train=train, val=val)
    samples = {split: [_sample(split, index) for index in range(count)]
               for split, count in zip(_SPLITS, (train, val), strict=True)}
    files = ['README.txt', *(f'meta/{split}.txt' for split in samples),
             *(f'{split}/{path}' for split, pairs in samples.items() for path, _ in pairs)]

    def write(folder: Path) -> None:
        (folder / 'meta').mkdir()
        for split, pairs in samples.items():
            _write_split(folder, split, pairs, seed)
        (folder / 'README.txt').write_text(_readme(samples, train, val, seed), encoding='utf-8')

    return make_folder_once(Path(root), recipe, files, write)


def _sample(split: str, index: int) -> tuple[str, str]:
    """File of a picture below the folder of its split, named as in ImageNet, and the synset it shows."""
    synset = list(SYNSETS)[index % len(SYNSETS)]
    if split == 'train':
        return f'{synset}/{synset}_{index // len(SYNSETS) + 1}.JPEG', synset
    return f'ILSVRC2012_val_{index + 1:08d}.JPEG', synset


def _write_split(folder: Path, split: str, samples: list[tuple[str, str]], seed: int) -> None:
    """Draws and writes the pictures of one split and the list of them."""
    settings = [draw for _, _, draw in SYNSETS.values()]
    for index, (path, _) in enumerate(samples):
        # Each picture has its own stream, so that it does not depend on how many others there are.
        rng = np.random.default_rng([seed, _SPLITS.index(split), index])
        file = folder / split / path
        file.parent.mkdir(parents=True, exist_ok=True)
        write_jpeg(file, draw_scene(rng, index, settings).image)
    lines = [f'{path} {SYNSETS[synset][0]}\n' for path, synset in samples]
    (folder / 'meta' / f'{split}.txt').write_text(''.join(lines), encoding='utf-8')


def _readme(samples: dict[str, list[tuple[str, str]]], train: int, val: int, seed: int) -> str:
    """What the set is, the command that makes it, and how often each class occurs."""
    counts = [Counter(synset for _, synset in pairs) for pairs in samples.values()]
    lines = [
        *readme_head('ImageNet', 'imagenet', train, val, seed),
        '',
        'Images of each class:',
        f'{"synset":9}  {"label":>5}  {"class":11}' + ''.join(f'  {split:>5}' for split in samples),
        *(f'{synset}  {label:>5}  {name:11}' + ''.join(f'  {count[synset]:>5}' for count in counts)
          for synset, (label, name, _) in SYNSETS.items()),
    ]
    return '\n'.join(lines) + '\n'
