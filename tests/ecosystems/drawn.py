"""A tiny drawn data set in Ultralytics' form."""
from pathlib import Path

import numpy as np
from PIL import Image


def _draw(path: Path, number: int) -> np.ndarray:
    """A picture of 96x96 with one bright rectangle, -> its corners (4, 2) relative to the size."""
    generator = np.random.default_rng(number)
    left, top = generator.integers(4, 40, 2)
    right, bottom = left + generator.integers(24, 48), top + generator.integers(24, 48)
    image = generator.integers(0, 60, (96, 96, 3), dtype=np.uint8)
    image[top:bottom, left:right] = (40, 200, 90) if number % 2 else (200, 90, 40)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]]) / 96


def draw_data(root: Path) -> dict[str, str]:
    """Draw it. Returns task -> what Ultralytics' ``data`` is: ``data.yaml`` of polygons, or the folder of class folders."""
    for number in range(12):
        split = 'val' if number < 4 else 'train'
        corners = _draw(root / 'images' / split / f'{number}.png', number)
        label = root / 'labels' / split / f'{number}.txt'
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text(f'{number % 2} ' + ' '.join(f'{each:.4f}' for each in corners.flat))
        _draw(root / 'folders' / split / str(number % 2) / f'{number}.png', number)
    yaml = root / 'data.yaml'
    yaml.write_text(f'path: {root}\ntrain: images/train\nval: images/val\nnames: [even, odd]\n')
    return dict(detect=str(yaml), segment=str(yaml), classify=str(root / 'folders'))
