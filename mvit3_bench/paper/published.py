"""The published figures, as data. Every document that shows one takes it from here.

``published_numbers.csv``: MobileViTv1, v2 and v3. Sources, named in the column ``source``: the release tables of MobileViTv3
(github.com/micronDLA/MobileViTv3) and, for v1 and v2, the model zoo of CVNets (github.com/apple/ml-cvnets). ``weights`` says
where the authors keep the weights. ``other_models.csv``: light models of other authors.
"""
import csv
import functools
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path


@dataclass(frozen=True)
class Published:
    """One row of a published table.

    Args:
        task: ``'classification'``, ``'detection'`` or ``'segmentation'``.
        dataset: ``'imagenet1k'``, ``'coco2017'``, ``'voc2012'`` or ``'ade20k'``.
        head: ``'ssdlite'``, ``'deeplabv3'``, ``'pspnet'``, or empty for a classifier.
        family: ``'mvit1'``, ``'mvit2'`` or ``'mvit3'``.
        model: Name of the arch.
        metric: ``'top1'``, ``'bbox_mAP'`` or ``'mIoU'``, in percent.
        value: The metric's published value.
        params_M: Published parameters, in millions.
        flops_M: Published multiply-adds, in millions; None where there is no figure.
        source: Where the figures stand.
        weights: Where the authors' weights are: a folder of the release of MobileViTv3, or an address in the zoo.
    """
    task: str
    dataset: str
    head: str
    family: str
    model: str
    metric: str
    value: float
    params_M: float
    flops_M: float | None
    source: str
    weights: str

    @property
    def config(self) -> str:
        """Path of the row's config below ``configs/``."""
        folders = dict(imagenet1k=('cls', 'in1k'), coco2017=('det', 'coco'))
        folder, dataset = folders.get(self.dataset, ('seg', self.dataset))
        return f'{folder}/' + '_'.join(filter(None, [self.head, self.family, self.model, dataset])) + '.py'


@dataclass(frozen=True)
class Other:
    """A light model of other authors, as they published it. A figure that was not found is None.

    Args:
        model: Its name.
        top1: Top-1 on ImageNet-1K, in percent.
        params_M: Parameters, in millions.
        flops_M: Multiply-adds, in millions, in its authors' convention.
        size: Height and width of the images.
        protocol: How its training differs from some 300 epochs of ImageNet-1K alone, as far as the source tells.
        source: Where the figures stand; ``quoted in`` names another paper or page that repeats them.
        figure1: ``'yes'`` if figure 1 shows it.
    """
    model: str
    top1: float | None
    params_M: float | None
    flops_M: float | None
    size: float
    protocol: str
    source: str
    figure1: str


@functools.cache
def others() -> tuple[Other, ...]:
    """Light models of other authors."""
    return _rows('other_models.csv', Other, ('top1', 'params_M', 'flops_M', 'size'))


@functools.cache
def published() -> tuple[Published, ...]:
    """All rows."""
    return _rows('published_numbers.csv', Published, ('value', 'params_M', 'flops_M'))


def published_top1(path: str | Path) -> float | None:
    """Published top-1 accuracy of a config in percent; None if it has none."""
    row = row_of('/'.join(Path(path).parts[-2:]))
    return row.value if row and row.metric == 'top1' else None


def row_of(config: str) -> Published | None:
    """The published row of a config, given by its path below ``configs/``."""
    return next((row for row in published() if row.config == config), None)


def _rows(name: str, kind: type, numbers: tuple[str, ...]) -> tuple:
    with (files(__package__) / name).open(encoding='utf-8') as file:
        return tuple(kind(**{key: value if key not in numbers else float(value) if value else None
                             for key, value in row.items()}) for row in csv.DictReader(file))
