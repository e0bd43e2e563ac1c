"""A small data set of each task in the layout of its stock config, to be damaged, and what its labels must be in the end."""
import copy
import functools
import io
import json
import os
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmengine.config import Config
from PIL import Image

from mvit3_bench.datasets.mini import FOLDERS, MAKERS
from mvit3_bench.utils.paths import MIM

from .corruptions import write_mask

NAME = 'damaged'  # of the damaged image, which is the first of three


@dataclass
class Sample:
    """An image and its labels: a class number, a mask as ADE20K has it, or boxes and categories."""
    image: Image.Image
    labels: object
    name: str = ''


def real(member: str) -> bytes | None:
    """A file of the real samples, which MVIT3_REAL_DATA names: unpacked, or in a tar."""
    folder = os.environ.get('MVIT3_REAL_DATA')
    if not folder:
        return None
    if (Path(folder) / member).is_file():
        return (Path(folder) / member).read_bytes()
    with tarfile.open(Path(folder) / f'{member.split("/")[0]}.tar') as tar:
        return tar.extractfile(member).read()


def _read(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content)).convert('RGB')


class Classification:
    """ImageNet, listed in meta/train.txt and meta/val.txt."""
    configs = ('cls/mvit3_xxs_in1k.py', 'cls/mvit3_0.5_in1k.py')

    @staticmethod
    def samples(folder: Path) -> list[Sample]:
        """Three images: real ones of COCO, or drawn ones."""
        return [Sample(sample.image, number) for sample, number in zip(Detection.samples(folder), (7, 0, 999), strict=True)]

    @staticmethod
    def fitting(size: tuple[int, int]):
        return 7

    @staticmethod
    def write(root: Path, samples: list[Sample], contents: list[bytes]) -> None:
        (root / 'meta').mkdir(parents=True)
        for split in ('train', 'val'):
            (root / split).mkdir()
            for sample, content in zip(samples, contents, strict=True):
                (root / split / f'{sample.name}.JPEG').write_bytes(content)
            (root / 'meta' / f'{split}.txt').write_text(
                ''.join(f'{sample.name}.JPEG {sample.labels}\n' for sample in samples))

    @staticmethod
    def wrong(packed: dict, labels: int, training: bool) -> str:
        found = packed['data_samples'].gt_label.tolist()
        return '' if found == [labels] else f'class {found} in place of {labels}'


class Segmentation:
    """ADE20K, whose 0 is ignored and whose classes begin with 1."""
    configs = ('seg/deeplabv3_mvit3_1.0_ade20k.py',)

    @staticmethod
    def samples(folder: Path) -> list[Sample]:
        """The three real pairs, or drawn ones."""
        if real('samples/README.md'):
            pairs = [[real(f'samples/ade20k/{kind}/validation/ADE_val_0000000{number}.{suffix}')
                      for kind, suffix in (('images', 'jpg'), ('annotations', 'png'))] for number in (1, 2, 3)]
        else:
            root = MAKERS['ade20k'](folder / FOLDERS['ade20k'], train=3, val=3)
            pairs = [[image.read_bytes(), (root / 'annotations' / 'training' / f'{image.stem}.png').read_bytes()]
                     for image in sorted((root / 'images' / 'training').iterdir())]
        return [Sample(_read(image), np.array(Image.open(io.BytesIO(mask)))) for image, mask in pairs]

    @staticmethod
    def fitting(size: tuple[int, int]) -> np.ndarray:
        return np.full(size[::-1], 8, np.uint8)

    @staticmethod
    def write(root: Path, samples: list[Sample], contents: list[bytes]) -> None:
        for split in ('training', 'validation'):
            for kind in ('images', 'annotations'):
                (root / kind / split).mkdir(parents=True)
            for sample, content in zip(samples, contents, strict=True):
                (root / 'images' / split / f'{sample.name}.jpg').write_bytes(content)
                (root / 'annotations' / split / f'{sample.name}.png').write_bytes(write_mask(sample.labels))

    @staticmethod
    def wrong(packed: dict, labels: np.ndarray, training: bool) -> str:
        found, expected = packed['data_samples'].gt_sem_seg.data[0].numpy(), labels - np.uint8(1)  # 0 becomes 255
        if training:
            if found.shape != packed['inputs'].shape[1:]:
                return f'the mask is {found.shape}, the image {tuple(packed["inputs"].shape[1:])}'
            foreign = np.setdiff1d(found, np.append(expected, 255)).tolist()
            return f'labels {foreign} that the mask has not' if foreign else ''
        if found.shape != expected.shape:
            return f'a mask of {found.shape} in place of {expected.shape}'
        return '' if (found == expected).all() else f'{(found != expected).mean():.1%} of the labels are others'


class Detection:
    """COCO, with all 80 categories."""
    configs = ('det/ssdlite_mvit3_xxs_coco.py',)

    @staticmethod
    def samples(folder: Path) -> list[Sample]:
        """Three real images with their boxes, or drawn ones."""
        if real('samples/README.md'):
            content = json.loads(real('samples/coco/annotations/instances_val2017_subset.json'))
            read = lambda name: real(f'samples/coco/val2017/{name}')  # noqa: E731
        else:
            root = MAKERS['coco'](folder / FOLDERS['coco'], train=8, val=3)
            content = json.loads((root / 'annotations' / 'instances_train2017.json').read_text())
            read = lambda name: (root / 'train2017' / name).read_bytes()  # noqa: E731
        samples = []
        for image in content['images']:
            boxes = [(tuple(box['bbox']), box['category_id']) for box in content['annotations']
                     if box['image_id'] == image['id'] and not box['iscrowd']]
            if boxes:
                samples.append(Sample(_read(read(image['file_name'])), boxes))
        return samples[:3]

    @staticmethod
    def fitting(size: tuple[int, int]) -> list:
        return [((0, 0, *size), 1)]

    @staticmethod
    def content(samples: list[Sample]) -> dict:
        """The json of some samples."""
        from mvit3_bench.datasets.mini.coco import CATEGORIES
        names = {number: name for group in CATEGORIES.values() for number, name in group.items()}
        images = [dict(id=number, file_name=f'{sample.name}.jpg', width=sample.image.width, height=sample.image.height)
                  for number, sample in enumerate(samples, start=1)]
        boxes = [(number, *box) for number, sample in enumerate(samples, start=1) for box in sample.labels]
        return dict(images=images, categories=[dict(id=number, name=name) for number, name in names.items()], annotations=[
            dict(id=number, image_id=image, category_id=category, bbox=list(box), area=box[2] * box[3], iscrowd=0)
            for number, (image, box, category) in enumerate(boxes, start=1)])

    @staticmethod
    def write(root: Path, samples: list[Sample], contents: list[bytes]) -> None:
        (root / 'annotations').mkdir(parents=True)
        for split in ('train2017', 'val2017'):
            (root / split).mkdir()
            for sample, content in zip(samples, contents, strict=True):
                (root / split / f'{sample.name}.jpg').write_bytes(content)
            (root / 'annotations' / f'instances_{split}.json').write_text(json.dumps(Detection.content(samples)))

    @staticmethod
    def wrong(packed: dict, labels: list, training: bool) -> str:
        from mvit3_bench.datasets.mini.coco import CATEGORIES
        numbers = {number: index for index, number in enumerate(n for group in CATEGORIES.values() for n in group)}
        truth = packed['data_samples'].gt_instances
        found = [(*map(float, box), int(label)) for box, label in zip(truth.bboxes.tensor, truth.labels, strict=True)]
        if training:
            foreign = {box[4] for box in found} - {numbers[category] for _, category in labels}
            outside = [box for box in found if not (0 <= box[0] < box[2] <= 320 and 0 <= box[1] < box[3] <= 320)]
            return f'classes {foreign}, boxes outside the image {outside}' if foreign or outside else ''
        expected = [(x, y, x + width, y + height, numbers[category]) for (x, y, width, height), category in labels]
        equal = len(found) == len(expected) and np.allclose(np.array(found), np.array(expected), rtol=1e-5, atol=1e-3)
        return '' if equal else f'boxes {found} in place of {expected}'


TASKS = dict(classification=Classification, detection=Detection, segmentation=Segmentation)


@functools.cache
def _config(name: str) -> Config:
    return Config.fromfile(MIM / 'configs' / name)


def config_of(name: str, root: Path, workers: int) -> Config:
    """A stock config on a data set of three images, its pipelines as they are."""
    cfg = copy.deepcopy(_config(name))
    # the test too: what its own root holds, if it is there, has other classes than the one drawn
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.data_root = str(root)
        loader.update(batch_size=3, num_workers=workers, persistent_workers=False)
    if 'ann_file' in cfg.val_evaluator:
        cfg.val_evaluator.ann_file = str(root / cfg.val_dataloader.dataset.ann_file)
    return cfg
