"""The models of the leaderboard, and the accuracies that others have published of them.

``models.csv`` lists the models: what builds them here and the size in pixels at which they are measured. Where their figures
stand:

- ours (``mvit3_s``, ...): the published figures of :mod:`mvit3_bench.paper.published`;
- models of which timm has weights and has measured the accuracy at this size: timm's figure (``TIMM_RESULTS``). Of several
  weights those of the highest accuracy that saw no images beyond ImageNet-1K; if there are none, the highest. ``weights`` is
  their tag, ``protocol`` how their training differs from some 300 epochs of ImageNet-1K alone;
- all others: what their authors published, ``paper/other_models.csv``.

Parameters and multiply-adds are always the authors'. ``downstream.csv``: published detectors and segmentors of the same
backbones and of the usual larger ones.
"""
import csv
import functools
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files

from ..paper.published import Other, Published, others, published

# timm's file names no version. It fits the weights of this one only: 1.0.21 lacks two of those that it lists, and 1.0.23
# adds eight that it does not.
TIMM_VERSION = '1.0.22'
TIMM_RESULTS = f"timm's results-imagenet.csv, of timm {TIMM_VERSION}"
KINDS = ('convolutional', 'hybrid', 'transformer')
_BUILD = re.compile(r'mvit[123]_[\w.]+|(timm|torchvision)/\w+|')


@dataclass(frozen=True)
class Model:
    """A model of the leaderboard. A figure that nobody has published, or that was not found, is None.

    Args:
        name: As its authors write it.
        family: Models of one paper.
        kind: ``'convolutional'``, ``'hybrid'`` or ``'transformer'``.
        year: Of the paper.
        build: What builds it: a name that ``--backbone`` takes, or ``torchvision/NAME``; empty if nothing here does.
        size: Height and width of the images, in pixels: of ``top1``, and of what is measured here.
        weights: Tag of the weights of timm that ``top1`` is of; else empty.
        top1: On ImageNet-1K, in percent.
        origin: Who measured ``top1``: ``'timm'``, or ``'published'`` for its authors.
        protocol: How the training behind ``top1`` differs from some 300 epochs of ImageNet-1K alone; empty if it does not,
            or if the source does not tell.
        published_top1: The authors' figure, at their size and with their protocol.
        params_M: The authors' parameters, in millions.
        flops_M: The authors' multiply-adds, in millions, in their convention and at their size.
        source: Where the authors' figures stand; without them, where ``top1`` does.
    """
    name: str
    family: str
    kind: str
    year: int
    build: str
    size: int
    weights: str
    top1: float
    origin: str
    protocol: str
    published_top1: float | None
    params_M: float | None
    flops_M: float | None
    source: str


@dataclass(frozen=True)
class Downstream:
    """A published detector or segmentor.

    Args:
        model: Its backbone.
        task: ``'detection'`` or ``'segmentation'``.
        dataset: ``'coco2017'``, ``'voc2012'``, ``'ade20k'`` or ``'coco2017_voc_labels'``, COCO's images with VOC's classes.
        head: ``'ssdlite'``, ``'deeplabv3'``, ``'deeplabv3plus'`` or ``'pspnet'``.
        metric: ``'bbox_mAP'`` or ``'mIoU'``, in percent.
        value: The metric's published value.
        params_M: Published parameters of backbone and head, in millions; None where there is no figure.
        flops_M: Published multiply-adds of both, in millions; None where there is no figure.
        size: Height and width of the images, in pixels.
        protocol: Images of the test, output stride, pre-training, whatever the source tells of what matters.
        source: Where the figures stand.
    """
    model: str
    task: str
    dataset: str
    head: str
    metric: str
    value: float
    params_M: float | None
    flops_M: float | None
    size: int
    protocol: str
    source: str


@functools.cache
def models() -> tuple[Model, ...]:
    """All models, in the order of the file.

    Raises:
        ValueError: ``models.csv`` is wrong; the message names the model and the column.
    """
    authors: dict[str, Other | Published] = {each.model: each for each in others()}
    authors |= {f'{row.family}_{row.model}': row for row in published() if row.dataset == 'imagenet1k'}
    found = tuple(_model(row, authors.get(row['build']) or authors.get(row['name'])) for row in _rows('models.csv'))
    for column in ('name', 'build'):
        values = Counter(getattr(each, column) for each in found)
        if twice := [value for value, count in values.items() if value and count > 1]:
            raise ValueError(f'models.csv: {column} {", ".join(twice)} stands there twice')
    return found


@functools.cache
def downstream() -> tuple[Downstream, ...]:
    """Published detectors and segmentors, in the order of the file."""
    numbers = dict(value=float, params_M=float, flops_M=float, size=int)
    return tuple(Downstream(**{key: numbers.get(key, str)(value) if value or key not in numbers else None
                               for key, value in row.items()}) for row in _rows('downstream.csv'))


def _model(row: dict[str, str], authors: Other | Published | None) -> Model:
    """A row of ``models.csv`` with the figures of its authors, if there are any."""
    of_timm = bool(row['weights'])
    theirs = dict(published_top1=None, params_M=None, flops_M=None, source=TIMM_RESULTS, protocol='', size=0)
    if isinstance(authors, Published):
        theirs |= dict(vars(authors), published_top1=authors.value)
    elif authors:
        theirs |= dict(vars(authors), published_top1=authors.top1)
    figures = {key: theirs[key] for key in ('published_top1', 'params_M', 'flops_M', 'source')}
    model = Model(
        **{key: row[key] for key in ('name', 'family', 'kind', 'build', 'weights')}, **figures, year=int(row['year']),
        size=int(row['size'] or theirs['size']), top1=float(row['top1']) if of_timm else theirs['published_top1'],
        origin='timm' if of_timm else 'published', protocol=row['protocol'] if of_timm else theirs['protocol'])
    good = dict(kind=model.kind in KINDS, year=2010 < model.year < 2100, build=_BUILD.fullmatch(model.build),
                size=model.size > 0, top1=model.top1 and 50 < model.top1 < 95 and of_timm == bool(row['top1']))
    if wrong := [f'{column} {row[column]!r}' for column, fine in good.items() if not fine]:
        raise ValueError(f'models.csv: {model.name}: {", ".join(wrong)} cannot be')
    return model


def _rows(name: str) -> Iterator[dict[str, str]]:
    with (files(__package__) / name).open(encoding='utf-8', newline='') as file:
        yield from csv.DictReader(file)
