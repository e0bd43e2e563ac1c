"""Damage to what holds images together: COCO's json, folders of classes, files that are none."""
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .corruptions import encode


@dataclass(frozen=True)
class CorruptedJson:
    """A damaged json and what must come of its first image.

    Attributes:
        content: The json, as text.
        boxes: The boxes and categories that evaluation must see, each as ``((x, y, width, height), category id)``; None if
            the json must be refused.
        named: Whether the log must say that something was left out.
    """
    content: str
    boxes: list | None = None
    named: bool = False


def truth(content: dict) -> list:
    """The boxes of the first image, without those that stand for a crowd."""
    first = content['images'][0]['id']
    return [(tuple(box['bbox']), box['category_id']) for box in content['annotations']
            if box['image_id'] == first and not box['iscrowd']]


def _with_box(bbox, kept: bool | None, **changes):
    """The first image has one more box: kept as it is, left out with a word in the log, or, with None, refused."""
    def damage(content: dict, rng: np.random.Generator) -> CorruptedJson:
        before, image = truth(content), content['images'][0]
        x, y, width, height = bbox(image['width'], image['height'], rng)
        box = dict(id=10**9, image_id=image['id'], category_id=content['annotations'][0]['category_id'], iscrowd=0,
                   area=100., bbox=[x, y, width, height]) | changes
        content['annotations'].append(box)
        boxes = None if kept is None else before + [((x, y, width, height), box['category_id'])] * kept
        return CorruptedJson(json.dumps(content), boxes, named=kept is False)
    return damage


def _inside(width, height, rng):
    return [float(rng.uniform(0, width / 2)), float(rng.uniform(0, height / 2)), width / 4, height / 4]


def _one_of(value, key: int | None = None):
    """A box inside the image, one of whose numbers, drawn by chance, is another."""
    def bbox(width, height, rng):
        box = _inside(width, height, rng)
        box[rng.integers(4) if key is None else key] = value
        return box
    return bbox


def _missing_key(content, rng):
    part, keys = [(content, ['images', 'annotations', 'categories']),
                  (content['images'][0], ['id', 'file_name', 'width', 'height']),
                  (content['annotations'][0], ['id', 'image_id', 'category_id', 'bbox', 'area', 'iscrowd']),
                  (content['categories'][0], ['id', 'name'])][rng.integers(4)]
    del part[rng.choice(keys)]
    return CorruptedJson(json.dumps(content))


def _wrong_size(content, rng):
    image = content['images'][0]
    image.update([dict(width=image['height'] + 1, height=image['width']), dict(width=image['width'] * 2),
                  dict(height=image['height'] - 1)][rng.integers(3)])
    return CorruptedJson(json.dumps(content))


def _impossible_size(content, rng):
    content['images'][0][str(rng.choice(['width', 'height']))] = [0, -5, '640', None, float('nan')][rng.integers(5)]
    return CorruptedJson(json.dumps(content))


def _duplicate_id(content, rng):
    parts = content[str(rng.choice(['images', 'annotations', 'categories']))]
    parts[1]['id'] = parts[0]['id']
    return CorruptedJson(json.dumps(content))


def _broken_box(content, rng):
    content['annotations'][0]['bbox'] = [[1, 2, 3], None, [1, 2, 3, 'x'], '1 2 3 4', [], [1, 2, 3, 4, 5]][rng.integers(6)]
    return CorruptedJson(json.dumps(content))


def _other_category(content, rng):
    box = next(box for box in content['annotations'] if box['image_id'] == content['images'][0]['id'] and not box['iscrowd'])
    box['category_id'] = 10**6
    return CorruptedJson(json.dumps(content), truth(content)[1:], named=True)


def _no_boxes(content, rng):
    first = content['images'][0]['id']
    content['annotations'] = [box for box in content['annotations'] if box['image_id'] != first]
    return CorruptedJson(json.dumps(content), [], named=True)


def _no_annotations(content, rng):
    content['annotations'].clear()
    return CorruptedJson(json.dumps(content))


def _crowd_only(content, rng):
    for box in content['annotations']:
        box['iscrowd'] |= box['image_id'] == content['images'][0]['id']
    return CorruptedJson(json.dumps(content), [])


def _foreign_image(content, rng):
    content['annotations'].append(content['annotations'][0] | dict(id=10**9, image_id=10**9))
    return CorruptedJson(json.dumps(content), truth(content), named=True)


def _text(content, rng):
    text = json.dumps(content)
    return CorruptedJson([text[:len(text) // 2], '', '[]', 'null', '404 Not Found', '[' * 10**5][rng.integers(6)])


JSONS: dict[str, Callable[[dict, np.random.Generator], CorruptedJson]] = {
    'box from outside': _with_box(lambda w, h, rng: [-float(rng.uniform(1, 9)), -float(rng.uniform(1, 9)), 30., 30.], True),
    'box to outside': _with_box(lambda w, h, rng: [w / 2, h / 2, w * float(rng.uniform(1, 1e6)), float(h)], True),
    'box beyond the image': _with_box(lambda w, h, rng: [w + float(rng.uniform(1, 99)), 0., 30., 30.], False),
    'box without width or height': _with_box(lambda w, h, rng: _one_of(0., int(rng.integers(2, 4)))(w, h, rng), False),
    'box with x2 < x1 or y2 < y1': _with_box(lambda w, h, rng: _one_of(-20., int(rng.integers(2, 4)))(w, h, rng), False),
    'box of NaN': _with_box(_one_of(float('nan')), False),
    'box of infinity': _with_box(_one_of(float('inf')), None),
    'area of NaN': _with_box(_inside, None, area=float('nan')),
    'area of zero': _with_box(_inside, False, area=0),
    'broken box': _broken_box,
    'missing key': _missing_key,
    'wrong size of the image': _wrong_size,
    'impossible size of the image': _impossible_size,
    'duplicate ids': _duplicate_id,
    'unknown category': _other_category,
    'box of an unknown image': _foreign_image,
    'image without boxes': _no_boxes,
    'no annotations': _no_annotations,
    'crowd only': _crowd_only,
    'json broken': _text}


# Functions of a class folder, an image to put there, and a generator; they return how many images the folder has won or
# lost, None if the folder must be refused.

def _emptied(folder, image, rng):
    files = list(folder.iterdir())
    for file in files:
        file.unlink()
    return -len(files)


def _nested(folder, image, rng):
    (folder / 'a' / 'b').mkdir(parents=True)
    (folder / 'a' / 'b' / 'damaged.jpg').write_bytes(encode(image))
    return 1


def _other_files(folder, image, rng):
    for name in ('damaged.txt', '.DS_Store', 'Thumbs.db', 'damaged.jpg.part', 'damaged'):
        (folder / name).write_bytes(rng.bytes(100))
    return 0


def _folder_named_as_image(folder, image, rng):
    (folder / 'damaged.jpg').mkdir()
    return 0


def _broken_link(folder, image, rng):
    (folder / 'damaged.jpg').symlink_to('absent.jpg')


def _unreadable(folder, image, rng):
    make_unreadable(folder / 'damaged.jpg', image)


def _pipe(folder, image, rng):
    os.mkfifo(folder / 'damaged.jpg')
    return 0


def _hidden_class(folder, image, rng):
    (folder.parent / '.damaged').mkdir()


def _missing_class(folder, image, rng):
    _emptied(folder, image, rng)
    folder.rmdir()


def _loop(folder, image, rng):
    (folder / 'damaged').symlink_to(folder.parent)


FOLDERS: dict[str, Callable[[Path, object, np.random.Generator], int | None]] = {
    'empty class folder': _emptied,
    'nested folders': _nested,
    'files that are no images': _other_files,
    'folder named as an image': _folder_named_as_image,
    'broken link': _broken_link,
    'link to a folder above': _loop,
    'unreadable image': _unreadable,
    'named pipe': _pipe,
    'hidden folder beside the classes': _hidden_class,
    'missing class folder': _missing_class}


def make_unreadable(path: Path, image) -> None:
    """A file that cannot be read: without the permission, or, for root, who needs none, one whose reading fails."""
    if os.geteuid():
        path.write_bytes(encode(image))
        path.chmod(0)
    else:
        path.symlink_to('/proc/self/mem')
