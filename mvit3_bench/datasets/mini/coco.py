"""A miniature COCO 2017: drawn scenes in the folders, file names and annotations of the real one."""

import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np

from .common import check_arguments, readme_head, write_jpeg
from .folder import make_folder_once
from .scenes import OUTINGS, Scene, draw_scene

# COCO's 80 categories by supercategory and id; ten of the numbers 1..90 are not used.
CATEGORIES = {
    'person': {1: 'person'},
    'vehicle': {2: 'bicycle', 3: 'car', 4: 'motorcycle', 5: 'airplane', 6: 'bus', 7: 'train', 8: 'truck', 9: 'boat'},
    'outdoor': {10: 'traffic light', 11: 'fire hydrant', 13: 'stop sign', 14: 'parking meter', 15: 'bench'},
    'animal': {16: 'bird', 17: 'cat', 18: 'dog', 19: 'horse', 20: 'sheep', 21: 'cow', 22: 'elephant', 23: 'bear',
               24: 'zebra', 25: 'giraffe'},
    'accessory': {27: 'backpack', 28: 'umbrella', 31: 'handbag', 32: 'tie', 33: 'suitcase'},
    'sports': {34: 'frisbee', 35: 'skis', 36: 'snowboard', 37: 'sports ball', 38: 'kite', 39: 'baseball bat',
               40: 'baseball glove', 41: 'skateboard', 42: 'surfboard', 43: 'tennis racket'},
    'kitchen': {44: 'bottle', 46: 'wine glass', 47: 'cup', 48: 'fork', 49: 'knife', 50: 'spoon', 51: 'bowl'},
    'food': {52: 'banana', 53: 'apple', 54: 'sandwich', 55: 'orange', 56: 'broccoli', 57: 'carrot', 58: 'hot dog',
             59: 'pizza', 60: 'donut', 61: 'cake'},
    'furniture': {62: 'chair', 63: 'couch', 64: 'potted plant', 65: 'bed', 67: 'dining table', 70: 'toilet'},
    'electronic': {72: 'tv', 73: 'laptop', 74: 'mouse', 75: 'remote', 76: 'keyboard', 77: 'cell phone'},
    'appliance': {78: 'microwave', 79: 'oven', 80: 'toaster', 81: 'sink', 82: 'refrigerator'},
    'indoor': {84: 'book', 85: 'clock', 86: 'vase', 87: 'scissors', 88: 'teddy bear', 89: 'hair drier',
               90: 'toothbrush'},
}
_IDS = {name: number for group in CATEGORIES.values() for number, name in group.items()}
DRAWN = ('person', 'car', 'boat', 'stop sign', 'dog', 'kite')  # the categories that the scenes show
MIN_SIDE = 12  # pixels; a smaller thing is marked as a crowd: to find it is neither asked nor a mistake
_VERSION = 1  # to be raised when the same seed begins to give other pictures
_FIRST_IDS = {'train2017': 1, 'val2017': 500_001}  # as in COCO, no id is in both splits


def make_mini_coco(root: str | Path, *, train: int = 120, val: int = 30, seed: int = 0) -> Path:
    """Draws a miniature COCO 2017, or reuses the one that the same call made before.

    `root` gets what the frameworks read as `data/coco`: `{train,val}2017/000000000001.jpg` of about
    160 x 128 pixels and `annotations/instances_{train,val}2017.json` with all 80 categories, of which
    the six in `DRAWN` occur, in either split if it has three images or more. Boxes and areas are those
    of the visible pixels, and so are the polygons: pycocotools turns them into exactly these pixels.
    A thing of which less than `MIN_SIDE` pixels is seen either way has `iscrowd` 1 and a run-length
    code, so that evaluation ignores it. `README.txt` tells how many there are, `mini.json` with what
    the set was made.

    Arguments, result, errors and what the same seed gives are those of `make_mini_ade20k`.
    """
    check_arguments(train, val, seed)
    counts = {'train2017': train, 'val2017': val}
    recipe = dict(format='coco', version=_VERSION, seed=seed, train=train, val=val)
    files = ['README.txt', *(_json_path(split) for split in counts),
             *(f'{split}/{_file_name(_FIRST_IDS[split] + index)}'
               for split, count in counts.items() for index in range(count))]

    def write(folder: Path) -> None:
        (folder / 'annotations').mkdir()
        found = {split: _write_split(folder, split, count, seed) for split, count in counts.items()}
        (folder / 'README.txt').write_text(_readme(found, train, val, seed), encoding='utf-8')

    return make_folder_once(Path(root), recipe, files, write)


def _file_name(image_id: int) -> str:
    return f'{image_id:012d}.jpg'


def _json_path(split: str) -> str:
    return f'annotations/instances_{split}.json'


def _write_split(folder: Path, split: str, count: int, seed: int) -> list[dict]:
    """Draws and writes one split; returns its annotations."""
    (folder / split).mkdir()
    images, annotations = [], []
    for index in range(count):
        # Each scene has its own stream, so that it does not depend on how many others there are.
        rng = np.random.default_rng([seed, list(_FIRST_IDS).index(split), index])
        scene, image_id = draw_scene(rng, index, OUTINGS), _FIRST_IDS[split] + index
        height, width = scene.owner.shape
        write_jpeg(folder / split / _file_name(image_id), scene.image)
        images.append(dict(id=image_id, file_name=_file_name(image_id), height=height, width=width, license=1))
        annotations += _annotations(scene, image_id)
    content = dict(
        info=dict(description=f'Miniature COCO 2017, {split}, drawn by a program', version=str(_VERSION), year=2017),
        licenses=[dict(id=1, name='drawn by mvit3_bench: no photograph is among them', url='')],
        images=images,
        annotations=annotations,
        categories=[dict(supercategory=group, id=number, name=name)
                    for group, names in CATEGORIES.items() for number, name in names.items()])
    (folder / _json_path(split)).write_text(json.dumps(content) + '\n', encoding='utf-8')
    return annotations


def _annotations(scene: Scene, image_id: int) -> list[dict]:
    """What the scene shows of COCO's categories, from the back to the front."""
    seen = [(name, mask) for name, mask in scene.instances() if name in _IDS]
    return [_annotation(name, mask, image_id, 100 * image_id + number) for number, (name, mask) in enumerate(seen)]


def _annotation(name: str, mask: np.ndarray, image_id: int, annotation_id: int) -> dict:
    """COCO's record of one thing, from its visible pixels as (H, W) bool."""
    x, y, w, h = cv2.boundingRect(np.uint8(mask))
    crowd = min(w, h) < MIN_SIDE
    return dict(id=annotation_id, image_id=image_id, category_id=_IDS[name], bbox=[x, y, w, h],
                area=int(mask.sum()), iscrowd=int(crowd),
                segmentation=_run_lengths(mask) if crowd else _polygons(mask))


def _run_lengths(mask: np.ndarray) -> dict:
    """COCO's uncompressed code: numbers of pixels in turn outside and inside, column by column."""
    pixels = np.concatenate([[False], mask.ravel(order='F')])
    changes = np.flatnonzero(pixels[1:] != pixels[:-1])
    return dict(size=list(mask.shape), counts=np.diff([0, *changes, mask.size]).tolist())


def _polygons(mask: np.ndarray) -> list[list[float]]:
    """Outlines as [x, y, x, y, ...] that pycocotools fills to exactly the mask.

    The union of polygons has no holes. Hence the mask is cut into upright strips, one cut through each hole.
    """
    contours, tree = cv2.findContours(np.uint8(mask), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    holes = [contour for contour, (*_, parent) in zip(contours, tree[0], strict=True) if parent >= 0]
    # A hole's contour runs through the pixels around it, so its middle column is one of the hole's.
    cuts = sorted({(int(hole[..., 0].min()) + int(hole[..., 0].max())) // 2 for hole in holes})
    polygons = []
    for start, end in zip([0, *cuts], [*cuts, mask.shape[1]], strict=True):
        # Four dots for each pixel: their outline passes a quarter of a pixel inside its border, clear
        # of the pixels' centres, by which pycocotools decides.
        dots = np.uint8(mask[:, start:end]).repeat(2, axis=0).repeat(2, axis=1)
        for outline in cv2.findContours(dots, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]:
            polygons.append(((outline.reshape(-1, 2) + 0.5) / 2 + [start, 0]).ravel().tolist())
    return polygons


def _readme(found: dict[str, list[dict]], train: int, val: int, seed: int) -> str:
    """What the set is, the command that makes it, and how often each category occurs."""
    lines = [
        *readme_head('COCO 2017', 'coco', train, val, seed),
        '',
        'Things of each category, and images that show one:',
        f'{"id":>5}  {"category":10}' + ''.join(f'  {split:>12}' for split in found),
    ]
    for name in DRAWN:
        row = f'{_IDS[name]:>5}  {name:10}'
        for annotations in found.values():
            images = Counter(each['image_id'] for each in annotations
                             if each['category_id'] == _IDS[name] and not each['iscrowd'])
            row += f'  {images.total():>5}  {len(images):>5}'
        lines.append(row)
    crowds = [sum(each['iscrowd'] for each in annotations) for annotations in found.values()]
    lines.append(f'{"":>5}  {"(crowds)":10}' + ''.join(f'  {count:>5}  {"":>5}' for count in crowds).rstrip())
    return '\n'.join(lines) + '\n'
