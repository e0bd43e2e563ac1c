"""The check of a detection data set before the start."""
import json
import logging
from pathlib import Path

from mmengine.config import ConfigDict
from mmengine.logging import print_log

from ..text import shown
from .cli import UsageError


def check_coco(name: str, dataset: ConfigDict, classes: tuple[str, ...], num_classes: int | None) -> None:
    """Check a data set in COCO's format, much of which mmdet would pass over in silence; log what of it takes no part.

    Args:
        name: Key of the data set in the config, for messages.
        dataset: The data set; ``ann_file`` and the image folder exist.
        classes: The classes of the config.
        num_classes: Number of classes of the head, None if it is not known.

    Raises:
        FileNotFoundError: An image named in the json is missing.
        UsageError: The json is not in COCO's format, its categories are not the classes of the config or not in this order,
            the head is for another number of classes, the config names no image folder, or there is no box at all.
    """
    if 'img' not in (dataset.get('data_prefix') or {}):
        raise UsageError(f'{name}: {dataset.type} needs the folder of its images: set {name}.data_prefix.img')
    root = Path(dataset.get('data_root') or '.')
    file, folder = root / dataset.ann_file, root / dataset.data_prefix.img
    try:
        content = json.loads(file.read_text(encoding='utf-8'))
        categories = {category['id']: category['name'] for category in content['categories']}
        images = {image['id']: image['file_name'] for image in content['images']}
        sizes = {image['id']: (image['width'], image['height']) for image in content['images']}
        # mmdet reads `area`, the evaluation `iscrowd`
        boxes = [(box['image_id'], box['category_id'], float(box['area']), int(box['iscrowd']), *map(float, box['bbox']))
                 for box in content['annotations']]
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{file} is not a json in COCO's format: {type(error).__name__}: {error}") from error

    found = list(categories.values())
    # mmdet numbers the classes as the json does, whatever the order in the config
    if [category for category in found if category in classes] != list(classes):
        only = [f'{place} alone: {", ".join(map(str, left))}' for place, left in (
            ('in the config', [c for c in classes if c not in found]),
            ('in the json', [c for c in found if c not in classes])) if left]
        raise UsageError(
            f'{name}: the categories of {file} are not the classes of the config: '
            + ('; '.join(only) or 'the order is another') + f'\n  set metainfo.classes of every dataset to (as in the json) '
            f'{tuple(found)}, and num_classes of the head to {len(found)}')
    if num_classes not in (None, len(classes)):
        raise UsageError(f'{name}: the data set has {len(classes)} classes, but the head num_classes={num_classes}; '
                         f'set model.bbox_head.num_classes={len(classes)}')
    if missing := [image for image in images.values() if not (folder / image).is_file()]:
        raise FileNotFoundError(
            f'{name}: {len(missing)} of {len(images)} images named in {file} are not in {folder}: '
            f'{shown(missing, total=True)}\n  put them there, or take them out of the json')

    annotated, usable, broken, foreign = set(), set(), set(), 0
    for image_id, category, area, crowd, x, y, width, height in boxes:
        right, bottom = sizes.get(image_id, (0, 0))
        if categories.get(category) not in classes:
            foreign += 1
            continue
        annotated.add(image_id)
        if not (area > 0 and width >= 1 and height >= 1 and -width < x < right and -height < y < bottom):  # or NaN
            broken.add(image_id)
        elif not crowd:
            usable.add(image_id)
    if foreign:
        print_log(f'{file}: {foreign} boxes of categories that the config does not name are left out', logger='current',
                  level=logging.WARNING)
    if broken:
        print_log(f'{file}: boxes without area, less than a pixel wide or high, outside the image or NaN are left out in '
                  'training, and\n  missed in evaluation; mend or remove those of '
                  + shown((images.get(i, f'image {i}') for i in sorted(broken)), total=True),
                  logger='current', level=logging.WARNING)
    if not usable:
        raise UsageError(f'{name}: no image of {file} has a box of the classes of the config')
    if not dataset.get('test_mode') and (empty := len(images.keys() - annotated)):
        print_log(f'{file}: {empty} of {len(images)} images have no boxes and do not take part in the training',
                  logger='current')
