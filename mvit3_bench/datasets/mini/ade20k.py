"""A miniature ADE20K: drawn scenes in the folders, file names and labels of the real one."""

from pathlib import Path

import numpy as np

from .common import check_arguments, readme_head, write_jpeg, write_png
from .folder import make_folder_once
from .scenes import Scene, draw_scene

# The things of the scenes, by their labels in ADE20K: 1..150 are classes, 0 is anything else.
LABELS = {
    'building': 2, 'sky': 3, 'tree': 5, 'road': 7, 'grass': 10,
    'person': 13, 'mountain': 17, 'car': 21, 'water': 22,
}
_VERSION = 1  # to be raised when the same seed begins to give other pictures
_SPLITS = {'training': 'train', 'validation': 'val'}  # folder -> file name


def make_mini_ade20k(root: str | Path, *, train: int = 48, val: int = 16, seed: int = 0) -> Path:
    """Draws a miniature ADE20K, or reuses the one that the same call made before.

    `root` gets what mmseg's `ADE20KDataset` reads as `data/ade/ADEChallengeData2016`:
    `images/{training,validation}/ADE_{train,val}_00000001.jpg` of about 160 x 128 pixels and
    `annotations/.../ADE_..._00000001.png`, uint8 with one channel, the same labels as in ADE20K
    (hence `reduce_zero_label=True`). The nine classes of `LABELS` occur in either split if it has
    three images or more. `README.txt` tells how often, `mini.json` with what the set was made.

    The same seed gives the same bytes with the same numpy and OpenCV, and a larger set begins
    with the images of a smaller one. Making it is safe against interruption and against other
    processes that make it at the same time.

    Args:
        root: the folder to make.
        train: number of training images, at least 1.
        val: number of validation images, at least 1.
        seed: 0 or more.

    Returns:
        `root` as a path.

    Raises:
        FileExistsError: `root` is there, but is not the whole set that these arguments make.
            Nothing is deleted or changed.
        ValueError: a number is too small.
    """
    check_arguments(train, val, seed)
    counts = {'training': train, 'validation': val}
    recipe = dict(format='ade20k', version=_VERSION, seed=seed, train=train, val=val)
    files = ['README.txt', *(path for split, count in counts.items() for index in range(count)
                             for path in _paths(split, index))]

    def write(folder: Path) -> None:
        shares = {split: _write_split(folder, split, count, seed)
                  for split, count in counts.items()}
        (folder / 'README.txt').write_text(_readme(shares, train, val, seed), encoding='utf-8')

    return make_folder_once(Path(root), recipe, files, write)


def _paths(split: str, index: int) -> tuple[str, str]:
    """Image and label map of a scene, below the root; ADE20K counts its files from 1."""
    stem = f'ADE_{_SPLITS[split]}_{index + 1:08d}'
    return f'images/{split}/{stem}.jpg', f'annotations/{split}/{stem}.png'


def _write_split(folder: Path, split: str, count: int, seed: int) -> np.ndarray:
    """Draws and writes one split; returns the share of each label in each image, (count, 151)."""
    for kind in ('images', 'annotations'):
        (folder / kind / split).mkdir(parents=True)
    shares = []
    for index in range(count):
        # Each scene has its own stream, so that it does not depend on how many others there are.
        rng = np.random.default_rng([seed, list(_SPLITS).index(split), index])
        labels = _write_scene(folder, split, index, draw_scene(rng, index))
        shares.append(np.bincount(labels.ravel(), minlength=151) / labels.size)
    return np.stack(shares)


def _write_scene(folder: Path, split: str, index: int, scene: Scene) -> np.ndarray:
    """Writes the image and the label map of one scene; returns the label map."""
    image_path, label_path = _paths(split, index)
    labels = scene.label_map(LABELS)
    write_jpeg(folder / image_path, scene.image)
    write_png(folder / label_path, labels)
    return labels


def _readme(shares: dict[str, np.ndarray], train: int, val: int, seed: int) -> str:
    """What the set is, the command that makes it, and how often each class occurs."""
    lines = [
        *readme_head('ADE20K', 'ade20k', train, val, seed),
        '',
        'Images that show a class, and its share of the pixels:',
        f'{"label":>5}  {"class":8}' + ''.join(f'  {split:>14}' for split in shares),
    ]
    for name, label in {**LABELS, '(other)': 0}.items():
        cells = [f'{(share[:, label] > 0).sum():>5}  {share[:, label].mean():>7.1%}'
                 for share in shares.values()]
        lines.append(f'{label:>5}  {name:8}' + ''.join(f'  {cell}' for cell in cells))
    return '\n'.join(lines) + '\n'
