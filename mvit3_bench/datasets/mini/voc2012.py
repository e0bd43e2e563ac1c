"""A miniature VOC2012: drawn scenes in the folders, lists and labels of the real one with the extra annotations of SBD."""

from pathlib import Path

import cv2
import numpy as np

from .common import check_arguments, readme_head, write_jpeg, write_png
from .folder import make_folder_once
from .scenes import OUTINGS, draw_scene

# The things of the scenes that VOC knows, by their labels there; 0 is background, VOID the line around each thing.
LABELS = {'boat': 4, 'car': 7, 'dog': 12, 'person': 15}
VOID = 255
_VERSION = 1  # to be raised when the same seed begins to give other pictures


def make_mini_voc2012(root: str | Path, *, train: int = 60, val: int = 18, seed: int = 0) -> Path:
    """Draws a miniature VOC2012, or reuses the one that the same call made before.

    `root` gets what mmseg reads as `data/VOCdevkit/VOC2012` after its converter of the extra annotations:
    `JPEGImages/2012_000001.jpg` of about 160 x 128 pixels; the masks of `ImageSets/Segmentation/{train,val}.txt` in
    `SegmentationClass` and those of `aug.txt` in `SegmentationClassAug`, to which every other training image belongs.
    Masks are uint8 with one channel and VOC's labels, 255 along the outlines. The four classes of `LABELS`
    occur in each list of three images or more. `README.txt` tells how often, `mini.json` with what the set was made.

    Arguments, result, errors and what the same seed gives are those of `make_mini_ade20k`.
    """
    check_arguments(train, val, seed)
    recipe = dict(format='voc2012', version=_VERSION, seed=seed, train=train, val=val)
    stems = {'train': _stems(range(0, train, 2)), 'aug': _stems(range(1, train, 2)),
             'val': _stems(range(500_000, 500_000 + val))}
    files = ['README.txt', *map(_list_path, stems),
             *(path for name, members in stems.items() for stem in members for path in _paths(name, stem))]

    def write(folder: Path) -> None:
        for part in ('JPEGImages', 'SegmentationClass', 'SegmentationClassAug', 'ImageSets/Segmentation'):
            (folder / part).mkdir(parents=True)
        shares = {name: _write_list(folder, name, members, seed) for name, members in stems.items()}
        (folder / 'README.txt').write_text(_readme(shares, train, val, seed), encoding='utf-8')

    return make_folder_once(Path(root), recipe, files, write)


def _stems(indices: range) -> dict[str, int]:
    """Name of each image without its ending, and the index of its scene."""
    return {f'2012_{index + 1:06d}': index for index in indices}


def _list_path(name: str) -> str:
    return f'ImageSets/Segmentation/{name}.txt'


def _paths(name: str, stem: str) -> tuple[str, str]:
    """Image and mask of a member of a list, below the root."""
    return f'JPEGImages/{stem}.jpg', f'SegmentationClass{"Aug" if name == "aug" else ""}/{stem}.png'


def _write_list(folder: Path, name: str, members: dict[str, int], seed: int) -> np.ndarray:
    """Draws and writes the members of a list; returns the share of each label in each image, (count, 256)."""
    shares = np.zeros((len(members), 256))
    for share, (stem, index) in zip(shares, members.items(), strict=True):
        # Each scene has its own stream, so that it does not depend on how many others there are.
        scene = draw_scene(np.random.default_rng([seed, index]), index, OUTINGS)
        image_path, mask_path = _paths(name, stem)
        mask = _mask(scene.label_map(LABELS))
        write_jpeg(folder / image_path, scene.image)
        write_png(folder / mask_path, mask)
        share += np.bincount(mask.ravel(), minlength=256) / mask.size
    (folder / _list_path(name)).write_text(''.join(f'{stem}\n' for stem in members), encoding='utf-8')
    return shares


def _mask(labels: np.ndarray) -> np.ndarray:
    """The labels with void wherever two of them touch."""
    window = np.ones((3, 3), np.uint8)
    return np.where(cv2.dilate(labels, window) == cv2.erode(labels, window), labels, np.uint8(VOID))


def _readme(shares: dict[str, np.ndarray], train: int, val: int, seed: int) -> str:
    """What the set is, the command that makes it, and how often each class occurs."""
    lines = [
        *readme_head('VOC2012', 'voc2012', train, val, seed),
        '',
        'Images of each list that show a class, and its share of their pixels:',
        f'{"label":>5}  {"class":10}' + ''.join(f'  {name:>14}' for name in shares),
    ]
    for label_name, label in {'background': 0, **LABELS, '(void)': VOID}.items():
        cells = [f'{(share[:, label] > 0).sum():>5}  {share[:, label].sum() / max(len(share), 1):>7.1%}'
                 for share in shares.values()]
        lines.append(f'{label:>5}  {label_name:10}' + ''.join(f'  {cell}' for cell in cells))
    return '\n'.join(lines) + '\n'
