"""COCO's images as further training images of VOC2012, as the published runs use them."""
import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
from mmengine.utils import track_iter_progress
from PIL import Image
from pycocotools.coco import COCO

from ..checkpoints.atomic import write_text
from ..errors import MissingFileError
from .lists import read_list
from .mini.common import write_png

# VOC's classes 1 .. 20 in its order, by their names in COCO
CLASSES = ('airplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat', 'chair', 'cow', 'dining table', 'dog',
           'horse', 'motorcycle', 'person', 'potted plant', 'sheep', 'couch', 'train', 'tv')
VOID = 255
ORIGIN = 'coco_to_voc.json'  # in the folder made: which json its masks are of


def convert(coco: Path, voc: Path, out: Path, split: str = 'train2017', min_pixels: int = 1000) -> tuple[int, int, int]:
    """Make a folder in VOC's layout with the extra annotations of VOC2012 and, mapped to its classes, COCO.

    `out` gets `JPEGImages` (links), `SegmentationClassAug` (links to VOC's masks; COCO's, drawn) and, at the end,
    `ImageSets/Segmentation/aug.txt`. Pixels of two classes, and crowds, whose outlines are coarse, become void.
    Stopped and called again it goes on: whole masks that are there are not drawn again.

    Args:
        coco: Folder of COCO 2017, with `annotations/instances_{split}.json`.
        voc: Folder of VOC2012, with `SegmentationClassAug` and `ImageSets/Segmentation/aug.txt`.
        out: The folder to make.
        split: COCO's split.
        min_pixels: An image with fewer pixels of VOC's classes is left out: it would teach background alone.

    Returns:
        Numbers of images taken from VOC, taken from COCO, and left out though some pixels are of VOC's classes.

    Raises:
        FileNotFoundError: A file is missing; the message names it.
        ValueError: The json or the list cannot be used, or `out` is VOC2012 itself, a file, or made from another json.
    """
    if out.resolve() == voc.resolve():
        raise ValueError(f'{out} is VOC2012 itself, whose list would be replaced: name another folder to make')
    images, masks, lists = (out / part for part in ('JPEGImages', 'SegmentationClassAug', 'ImageSets/Segmentation'))
    extra = list(dict.fromkeys(read_list(voc / 'ImageSets/Segmentation/aug.txt')))
    file = coco / 'annotations' / f'instances_{split}.json'
    content, digest = _read(file)
    labels = {category['id']: CLASSES.index(category['name']) + 1 for category in content.dataset['categories']
              if category['name'] in CLASSES}
    if not labels:
        raise ValueError(f'{file} has none of the categories {", ".join(CLASSES)}')
    for part in (out, images, masks, lists):
        if part.exists() and not part.is_dir():
            raise ValueError(f'{part} is a file: name another folder to make, or remove it')
        part.mkdir(parents=True, exist_ok=True)
    _check_origin(out, dict(file=file.name, sha256=digest))

    for stem in extra:
        _link(voc / 'JPEGImages' / f'{stem}.jpg', images)
        _link(voc / 'SegmentationClassAug' / f'{stem}.png', masks)
    candidates = sorted(set().union(*(content.catToImgs[category] for category in labels)))
    taken = []
    for image_id in track_iter_progress(candidates):
        image = Path(content.imgs[image_id]['file_name'])
        if _draw_mask_once(content, image_id, labels, masks / f'{image.stem}.png', min_pixels):
            _link(coco / split / image, images)
            taken.append(image.stem)
    members = dict.fromkeys(extra + taken)
    write_text(lists / 'aug.txt', ''.join(f'{stem}\n' for stem in members))
    return len(extra), len(taken), len(candidates) - len(taken)


def _read(file: Path) -> tuple[COCO, str]:
    """The annotations of a json, of which every part that is read here is there, and its digest."""
    content = file.read_bytes()
    annotations = COCO()
    try:
        annotations.dataset = json.loads(content)
        annotations.createIndex()
        for category in annotations.dataset['categories']:
            hash((category['id'], category['name']))
        for image in annotations.dataset['images']:
            str(Path(image['file_name'])).encode()  # the list of images is UTF-8
            if not (isinstance(image['height'], int) and isinstance(image['width'], int)):
                raise TypeError(f'image {image["id"]} has the size {image["width"]}x{image["height"]}')
        for thing in annotations.dataset['annotations']:
            hash((thing['id'], thing['iscrowd'], annotations.imgs[thing['image_id']]['id'], thing['category_id']))
            _check_outline(thing, annotations.imgs[thing['image_id']])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{file} is not a json of things in COCO's format: {type(error).__name__}: {error}; unpack it "
                         'again') from error
    return annotations, hashlib.sha256(content).hexdigest()


def _check_outline(thing: dict, image: dict) -> None:
    """A run-length code must be of its image's size; outlines of less than three points, without a pixel, are dropped."""
    outline = thing['segmentation']
    if isinstance(outline, list):
        thing['segmentation'] = [points for points in outline if len(points) >= 6]
        return
    counts, size = outline['counts'], [image['height'], image['width']]
    if list(outline['size']) != size or isinstance(counts, list) and sum(counts) != size[0] * size[1]:
        raise ValueError(f'annotation {thing["id"]} has a run-length code of {outline["size"]}, its image has {size}')


def _check_origin(out: Path, origin: dict[str, str]) -> None:
    """Record which json a folder is made from; one made from another would keep that one's masks."""
    record = out / ORIGIN
    if record.is_file():
        try:
            known = json.loads(record.read_bytes())
        except ValueError as error:
            raise ValueError(f'{record} is damaged: {error}; remove {out}, or name another folder to make') from error
        if known != origin:
            raise ValueError(f'{out} was made from another {known.get("file", "json")} than {origin["file"]} as it is now: '
                             'remove it, or name another folder to make')
    elif any((out / 'SegmentationClassAug').iterdir()):
        raise ValueError(f'{out} has masks, but no {ORIGIN} that says from which json: remove it, or name another folder to '
                         'make')
    write_text(record, json.dumps(origin))


def _draw_mask_once(content: COCO, image_id: int, labels: dict[int, int], file: Path, min_pixels: int) -> bool:
    """Draw a mask if it is not there and shows enough; whether it shows enough."""
    image = content.imgs[image_id]
    mask = _read_mask(file)
    known = mask is not None and mask.shape == (image['height'], image['width'])
    mask = mask if known else voc_mask(content, image_id, labels)
    enough = np.count_nonzero((mask > 0) & (mask != VOID)) >= min_pixels
    if enough and not known:
        draft = file.with_suffix('.draft.png')  # what is interrupted must not pass for a mask
        write_png(draft, mask)
        draft.replace(file)
    return enough


def _read_mask(file: Path) -> np.ndarray | None:
    """A mask; None if it is missing or damaged."""
    try:
        with Image.open(file) as image:
            return np.array(image)
    except (OSError, SyntaxError):
        return None


def voc_mask(content: COCO, image_id: int, labels: dict[int, int]) -> np.ndarray:
    """The things of an image as VOC labels them: (H, W) uint8, 0 background, 255 void.

    Args:
        content: The annotations.
        image_id: Number of the image in them.
        labels: Number of a category in COCO -> label in VOC.
    """
    image = content.imgs[image_id]
    mask = np.zeros((image['height'], image['width']), np.uint8)
    things = content.loadAnns(content.getAnnIds(image_id, list(labels)))
    for thing in sorted(filter(lambda thing: thing['segmentation'], things), key=lambda thing: thing['iscrowd']):
        pixels, label = content.annToMask(thing) > 0, labels[thing['category_id']]
        if thing['iscrowd']:
            mask[pixels & (mask == 0)] = VOID
        else:
            mask[pixels] = np.where(np.isin(mask[pixels], (0, label)), np.uint8(label), np.uint8(VOID))
    return mask


def _link(source: Path, folder: Path) -> None:
    """Link a file into a folder, so that both can move together; copy it where links are not possible."""
    target = folder / source.name
    if not source.is_file():
        raise MissingFileError(f'{source} is missing', source)
    if target.is_symlink() and not target.exists():  # one of the folders has been moved
        target.unlink()
    if os.path.lexists(target):
        return
    try:
        target.symlink_to(os.path.relpath(source.resolve(), folder.resolve()))
    except OSError:  # Windows without the right to link, or a file system that has none
        draft = target.with_name(f'{target.name}.draft')  # what is interrupted must not pass for a copy
        shutil.copyfile(source, draft)
        draft.replace(target)
