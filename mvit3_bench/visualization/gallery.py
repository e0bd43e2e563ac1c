"""Truth and predictions of several models side by side."""
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from mmcv import bgr2rgb
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS
from mmengine.utils import track_iter_progress

from ..apis.drawing import rendered
from ..apis.predict import Predictor
from ..engine.hooks.check_samples import check_samples, limits_of
from ..errors import UsageError
from ..utils.text import shown


@dataclass(frozen=True)
class Contestant:
    """A model, the test set of its config, and the title of its column."""
    name: str
    predictor: Predictor
    dataset: BaseDataset


def contestant(name: str, cfg: Config, predictor: Predictor) -> Contestant:
    """A model with its test set, which stops at a broken file.

    Raises:
        UsageError: The classes of the test set are those of the checkpoint in another order, so the truth would have wrong
            names.
    """
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    names, trained = (list(map(str, meta.get('classes') or ())) for meta in (dataset.metainfo, predictor.meta))
    if names != trained and sorted(names) == sorted(trained):
        raise UsageError(f'{name}: the checkpoint was trained with the classes {shown(trained)}, and the test set has them '
                         f'in another order: {shown(names)}', 'metainfo.classes',
                         'set metainfo.classes of the test set to the order of the checkpoint', '\n  ')
    check_samples(dataset, **limits_of(cfg))
    return Contestant(name, predictor, dataset)


def check(contestants: Sequence[Contestant], indices: Sequence[int]) -> None:
    """Check that all models look at the same images.

    Raises:
        UsageError: Their tasks or their images differ, or there is no image of a number.
    """
    first, *others = contestants
    size = len(first.dataset)
    if wrong := [index for index in indices if not 0 <= index < size]:
        raise UsageError(f'--indices {wrong[0]} is not possible', '--indices',
                         f'the test set has the images 0 to {size - 1}')
    for other in others:
        if other.predictor.scope != first.predictor.scope:
            raise UsageError(f'{first.name} is a model of {first.predictor.scope}, {other.name} one of '
                             f'{other.predictor.scope}', '--model', 'wanted: models of one task')
        if len(other.dataset) != size or any(_path(other, index) != _path(first, index) for index in indices):
            raise UsageError(f'{first.name} and {other.name} have different test sets', '--model',
                             'wanted: models of one data set')


def _path(contestant: Contestant, index: int) -> str:
    return contestant.dataset.get_data_info(index)['img_path']


def spread(number: int, size: int) -> list[int]:
    """N numbers below a size, at equal distances."""
    number = min(number, size)
    return [index * size // number for index in range(number)]


def draw(contestants: Sequence[Contestant], indices: Sequence[int]) -> np.ndarray:
    """Rows of image, truth and each model's prediction, as a picture (H, W, 3) RGB.

    Args:
        contestants: Models of one task with the same test set.
        indices: Which of its images.
    """
    from matplotlib.figure import Figure
    rows = [_row(contestants, index) for index in track_iter_progress(list(indices))]
    shapes = [row[0].shape[0] / row[0].shape[1] for row in rows]
    columns = len(contestants) + 2
    figure = Figure(figsize=(3.2 * columns, 3.2 * sum(shapes) + 0.5), dpi=100, layout='constrained')
    axes = figure.subplots(len(rows), columns, squeeze=False, height_ratios=shapes)
    for axis, title in zip(axes[0], ['image', 'truth', *(each.name for each in contestants)], strict=True):
        axis.set_title(title, fontsize=10)
    for line, row in zip(axes, rows, strict=True):
        for axis, picture in zip(line, row, strict=True):
            axis.imshow(picture)
            axis.axis('off')
    return rendered(figure)


def _row(contestants: Sequence[Contestant], index: int) -> list[np.ndarray]:
    first = contestants[0]
    image = bgr2rgb(first.predictor.read(_path(first, index)))
    samples = [each.predictor(each.dataset[index]) for each in contestants]
    return [image, first.predictor.draw(image, samples[0], truth=True),
            *(each.predictor.draw(image, sample) for each, sample in zip(contestants, samples, strict=True))]
