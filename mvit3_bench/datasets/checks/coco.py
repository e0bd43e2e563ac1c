"""The check of a detection data set before the start."""
import json
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import isinf, isnan
from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log

from ...errors import MissingFileError, UsageError
from ...registry import class_path, type_name
from ...utils.text import shown
from .folders import absent, cause_of_absence
from .settings import evaluators
from .sources import Source, is_remote

_STRAY = 0.05  # share of boxes that may be odd without a word: every large set has some


@dataclass(frozen=True)
class Coco:
    """What a json has.

    Args:
        name: Key of the data set in the config, for messages.
        file: The json.
        images: Id of an image -> its path below the image folder.
        has_box: Whether there is a box that can be trained on.
        counts_from_one: Whether the ids of the annotations are whole numbers from 1, as pycocotools needs them for a score.
        test_mode: Whether it is not for training.
    """
    name: str
    file: Path
    images: dict[int, str]
    has_box: bool
    counts_from_one: bool
    test_mode: bool


def check_coco(source: Source, num_classes: int | None, scored: bool) -> Coco:
    """Check a data set in COCO's format, much of which mmdet would pass over in silence; log what of it takes no part.

    Args:
        source: The data set.
        num_classes: Number of classes of the head, None if it is not known.
        scored: Whether a metric compares with it, which then needs annotations in a test too.

    Raises:
        FileNotFoundError: An image named in the json is missing.
        UsageError: The json is not in COCO's format, has an id twice or a box of infinite size, its categories are not the
            classes of the config or not in this order, or the head is for another number of classes.
    """
    name, file, folder, test_mode = source.name, source.file, source.folder, source.dataset.test_mode
    classes = source.dataset.metainfo['classes']
    content = _read(file, annotated=scored or not test_mode, scored=scored)
    categories = {category['id']: category['name'] for category in content['categories']}
    images = {image['id']: image['file_name'] for image in content['images']}
    sizes = {image['id']: (image['width'], image['height']) for image in content['images']}

    found = list(categories.values())
    if twice := [category for category, count in Counter(found).items() if count > 1 and category in classes]:
        ids = [id for id, category in categories.items() if category == twice[0]]
        raise UsageError(f'{name}: {file} has {len(ids)} categories named {twice[0]!r}, with the ids '
                         f'{shown(map(str, ids))}', file, 'keep one, and give its id to the annotations of the others',
                         '\n  ')
    # mmdet numbers the classes as the json does, whatever the order in the config
    if [category for category in found if category in classes] != list(classes):
        only = [f'{place} alone: {", ".join(map(str, left))}' for place, left in (
            ('in the config', [c for c in classes if c not in found]),
            ('in the json', [c for c in found if c not in classes])) if left]
        raise UsageError(
            f'{name}: the categories of {file} are not the classes of the config: '
            + ('; '.join(only) or f'the order is another, {tuple(found)}'), file,
            f'set metainfo.classes of every dataset to (as in the json) {tuple(found)}, and num_classes of the head to '
            f'{len(found)}' + ('' if only else '; or, where the other json files of the config have its order, put '
                               f'the categories of {file} in that order'), '\n  ')
    if num_classes not in (None, len(classes)):
        raise UsageError(f'{name}: the data set has {len(classes)} classes, but the head num_classes={num_classes}',
                         name, f'set model.bbox_head.num_classes={len(classes)}')
    if missing := absent(list(images.values()), folder):
        raise MissingFileError(
            f'{name}: {len(missing)} of {len(images)} images named in {file} are not in {folder}: '
            f'{shown(missing, total=True)}', file,
            cause_of_absence(missing[0], folder) or 'put them there, or take them out of the json', '\n  ')

    boxes = content.get('annotations', [])
    _check_references(file, boxes, categories, images)
    annotated, usable, broken = set(), set(), set()
    foreign = stray = ignored = leaving = unlike = 0
    for box in boxes:
        image_id, category, area = box['image_id'], box['category_id'], box['area']
        if image_id not in images:  # as in a json that was cut to some images
            stray += 1
            continue
        x, y, width, height = box['bbox']
        right, bottom = sizes.get(image_id, (0, 0))
        if categories.get(category) not in classes:
            foreign += 1
            continue
        annotated.add(image_id)
        ignored += bool(box.get('ignore'))
        leaving += x < -1 or y < -1 or x + width > right + 1 or y + height > bottom + 1
        unlike += area > 1.1 * width * height + 1 or not box.get('segmentation') and area < 0.9 * width * height - 1
        if not (area > 0 and width >= 1 and height >= 1 and -width < x < right and -height < y < bottom):  # or NaN
            broken.add(image_id)
        elif not box.get('iscrowd') and not box.get('ignore'):
            usable.add(image_id)
    known = len(boxes) - foreign - stray
    if ignored and not (usable or test_mode):
        raise UsageError(f'{name}: {ignored} of {known} boxes of {file} have "ignore": 1, which training leaves out, and '
                         'none is left', file, 'remove the key from those that are to be learned', '\n  ')
    if ignored:
        warn(f'{file}: {ignored} of {known} boxes have "ignore": 1: training leaves them out, the score counts them')
    if leaving > _STRAY * known:
        warn(f'{file}: {leaving} of {known} boxes ({leaving / known:.0%}) leave their image by more than a pixel: a bbox is '
             '[x, y, width, height], not two corners')
    if unlike > _STRAY * known:
        warn(f'{file}: the area of {unlike} of {known} boxes ({unlike / known:.0%}) is not width times height of their bbox '
             '[x, y, width, height], nor can it be that of an outline within: are they two corners?')
    if foreign:
        warn(f'{file}: {foreign} boxes of categories that the config does not name are left out')
    if stray:
        warn(f'{file}: {stray} of {len(boxes)} boxes are of images that it does not have, and are left out')
    if broken:
        warn(f'{file}: boxes without area, less than a pixel wide or high, outside the image or NaN are left out in '
             'training, and\n  missed in evaluation; fix or remove those of '
             + shown((images.get(i, f'image {i}') for i in sorted(broken, key=str)), total=True))
    if not test_mode and (empty := len(images.keys() - annotated)):
        print_log(f'{file}: {empty} of {len(images)} images have no boxes and do not take part in the training',
                  logger='current')
    return Coco(name, file, images, bool(usable), _count_from_one(boxes), test_mode)


def _count_from_one(boxes: list[dict]) -> bool:
    return all(type(box['id']) is int and box['id'] > 0 for box in boxes)


def _check_references(file: Path, boxes: list[dict], categories: dict, images: dict) -> None:
    """Check that the ids by which boxes name their category and image are of the type that these have.

    Raises:
        UsageError: ``"1"`` stands for 1, or the reverse, so that no box would be found.
    """
    for key, known in (('category_id', categories), ('image_id', images)):
        others = {str(id): id for id in known}
        for box in boxes:
            if box[key] not in known and str(box[key]) in others:
                raise UsageError(f'{file}: annotation {box["id"]} has the {key} {box[key]!r}, where the id is '
                                 f'{others[str(box[key])]!r}: a text is no number', file, 'write both as numbers', '\n  ')


def warn(message: str) -> None:
    """Log a warning."""
    print_log(message, logger='current', level=logging.WARNING)


def check_boxes(loader: str, found: list[Coco], scored: bool) -> None:
    """Check that there is a box to train on, or to compare with where a metric scores the predictions.

    Raises:
        UsageError: No data set of the loader has one.
    """
    if not any(part.has_box or part.test_mode and not scored for part in found):
        raise UsageError(f'{found[0].name if len(found) == 1 else loader}: no image of '
                         f'{", ".join(str(part.file) for part in found)} has a box of the classes of the config', loader)


def _metrics(cfg: Config, loader: str) -> Iterator[tuple[str, ConfigDict]]:
    """Each ``CocoMetric`` of a loader, and its key in the config."""
    found = evaluators(cfg, (loader.replace('dataloader', 'evaluator'),))
    return ((key, metric) for key, metric in found if type_name(metric) == 'CocoMetric')


def is_scored(cfg: Config, loader: str) -> bool:
    """Whether a ``CocoMetric`` compares the predictions with the annotations, rather than writing them only."""
    return any(not metric.get('format_only') for _, metric in _metrics(cfg, loader))


def check_evaluators(cfg: Config, loader: str, found: list[Coco]) -> None:
    """Check that the json of each ``CocoMetric`` of a loader is there and has the images that the loader has.

    Args:
        cfg: The config of the run.
        loader: The loader.
        found: Its data sets.

    Raises:
        FileNotFoundError: There is no such json.
        UsageError: It has other images, or annotations whose ids the metric takes for no match.
    """
    own, files = {id for part in found for id in part.images}, ' and '.join(str(part.file) for part in found)
    fix = f'set it to the json of {loader}: ' if len(found) == 1 else f'set it to a json of all images of {loader}: '
    for key, metric in _metrics(cfg, loader):
        if not metric.get('ann_file') or is_remote(metric):
            continue
        renumbers = class_path(metric).startswith('mvit3_bench.')
        if not (renumbers or metric.get('format_only') or all(part.counts_from_one for part in found)):
            raise UsageError(f'{key}: annotations of {files} have ids that are no whole numbers from 1; pycocotools takes 0 '
                             'for "no match", so a perfect detection would count as a wrong one', key,
                             f"set {key}.type='mvit3_bench.CocoMetric', which numbers them anew, or number them from 1",
                             '\n  ')
        key, other = f'{key}.ann_file', Path(metric.ann_file)
        keyed = f'{fix}{key}={files if len(found) == 1 else "..."}'
        if not other.is_file():
            raise MissingFileError(f'{key}: {other} does not exist', other, keyed, '\n  ')
        if [other.resolve()] == [part.file.resolve() for part in found]:
            continue
        content = _read(other, annotated=False, scored=not metric.get('format_only'))
        ids = {image['id'] for image in content['images']}
        if ids != own:
            raise UsageError(f'{key}: {other} has {len(ids - own)} images that {files} of {loader} has not, and '
                             f'lacks {len(own - ids)}', other, keyed, '\n  ')


def _read(file: Path, annotated: bool = True, scored: bool = False) -> dict:
    """The content of a json, of which every part that mmdet and the evaluation read is there and of its type.

    Args:
        file: The json.
        annotated: Whether it must have annotations, unlike one of a test.
        scored: Whether each must have ``iscrowd``, which pycocotools reads for a score.
    """
    try:
        content = json.loads(file.read_text(encoding='utf-8'))
        for category in content['categories']:
            hash(category['name'])
        for image in content['images']:
            Path(image['file_name'])
            _numbers(image, 'width', 'height')
            if not (image['width'] >= 1 and image['height'] >= 1):
                raise ValueError(f'image {image["id"]} is {image["width"]}x{image["height"]} pixels')
        kinds = [kind for kind in ('categories', 'images', 'annotations')
                 if annotated or kind != 'annotations' or kind in content]
        for box in content['annotations'] if 'annotations' in kinds else []:
            hash((box['image_id'], box['category_id']))
            if scored and 'iscrowd' not in box:
                raise ValueError(f'annotation {box["id"]} has no iscrowd, which a score needs: 0, or 1 for a crowd')
            _numbers(box, 'area', *(['iscrowd'] if 'iscrowd' in box else []))
            x, y, width, height = box['bbox']
            _numbers(dict(x=x, y=y, width=width, height=height), 'x', 'y', 'width', 'height')
            # mmdet leaves out a box of NaN size, but neither an infinite one nor one of NaN area
            if any(map(isinf, [*box['bbox'], box['area']])) or isnan(box['area']):
                raise ValueError(f'annotation {box["id"]} has the box {box["bbox"]} of area {box["area"]}')
        twice = {kind: [str(id) for id, count in Counter(part['id'] for part in content[kind]).items() if count > 1]
                 for kind in kinds}
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise UsageError(f"{file} is not a json in COCO's format: {type(error).__name__}: {error}", file) from error
    for kind, ids in twice.items():
        if ids:  # pycocotools would take the last in place of both
            raise UsageError(f'{file}: {kind} have the same id: {shown(ids, total=True)}', file, 'give each its own')
    return content


def _numbers(part: dict, *keys: str) -> None:
    for key in keys:
        if not isinstance(part[key], (int, float)):
            raise TypeError(f'{key} is {part[key]!r}, not a number')
