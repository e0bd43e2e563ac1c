"""The checks before the start of what a config says of classes, scores and sizes, where parts of it contradict others."""
import logging
import os
from collections.abc import Iterator, Sequence

from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log

from ...errors import UsageError
from ...registry import type_name
from ..configs import EVALUATORS, data_sets


def model_part(cfg: Config, name: str) -> dict:
    """A part of the model; without it, or where it is a list of several, an empty one."""
    part = (cfg.get('model') or {}).get(name)
    return part if isinstance(part, dict) else {}


def check_settings(cfg: Config) -> None:
    """Check that numbers of classes, of scores and sizes in a config fit each other.

    Raises:
        UsageError: They do not; the message names the keys.
    """
    _check_soft_labels(cfg)
    _check_topk(cfg)
    for name in ('decode_head', 'auxiliary_head'):
        _check_foreground(name, model_part(cfg, name))
    _check_crop(cfg)


def check_class_list(name: str, dataset: ConfigDict) -> None:
    """Check that the classes of a data set are a list of names, or a file of them; MMEngine takes another text as it is.

    Raises:
        UsageError: They are neither.
    """
    for key, classes in (('metainfo.classes', (dataset.get('metainfo') or {}).get('classes')),
                         ('classes', dataset.get('classes'))):  # the latter in mmpretrain alone
        is_file = isinstance(classes, str) and ('://' in classes or os.path.isfile(
            classes if key.startswith('metainfo') else os.path.expanduser(classes)))
        if not (classes is None or isinstance(classes, (list, tuple)) or is_file):
            raise UsageError(f'{name}: {key}={classes!r} is neither a list of names nor a file of them', f'{name}.{key}',
                             f'of a single class it is {[str(classes)]}')


def _check_soft_labels(cfg: Config) -> None:
    """Mixup and cutmix turn labels into vectors of the preprocessor's length, which the loss compares with the head's."""
    preprocessor, head = model_part(cfg, 'data_preprocessor'), model_part(cfg, 'head')
    if not (model_part(cfg, 'train_cfg').get('augments') or preprocessor.get('batch_augments')):
        return
    vectors, scores = preprocessor.get('num_classes'), head.get('num_classes')
    if None not in (vectors, scores) and vectors != scores:
        raise UsageError(f'model.data_preprocessor.num_classes={vectors}, but model.head.num_classes={scores}',
                         'num_classes', 'set both to the number of classes of the data', ': ')


def evaluators(cfg: Config, names: Sequence[str] = EVALUATORS) -> Iterator[tuple[str, ConfigDict]]:
    """Each metric of a config, and its key."""
    for name in names:
        found = cfg.get(name) or []
        several = isinstance(found, (list, tuple))
        for number, part in enumerate(found if several else [found]):
            if isinstance(part, dict) and 'type' in part:
                yield (f'{name}.{number}' if several else name), part


def _check_topk(cfg: Config) -> None:
    """The score of a classifier among its first k classes fails after an epoch if there are fewer."""
    classes = model_part(cfg, 'head').get('num_classes')
    keys = {**dict(evaluators(cfg)), 'model.head': model_part(cfg, 'head')}
    for key, part in keys.items():
        topk = part.get('topk') or ()
        topk = (topk,) if isinstance(topk, int) else tuple(topk)
        if classes and topk and max(topk) > classes:
            possible = ','.join(str(k) for k in topk if k <= classes)
            raise UsageError(f'{key}.topk={topk}, but there are {classes} classes', f'{key}.topk',
                             f'set {key}.topk="[{possible}]"')


def _check_foreground(name: str, head: dict) -> None:
    """A segmentor of one class needs a sigmoid: the softmax over a single score is 1 whatever it is."""
    losses = head.get('loss_decode') or {}
    losses = losses if isinstance(losses, (list, tuple)) else [losses]
    sigmoid = any(loss.get('use_sigmoid') or type_name(loss) != 'CrossEntropyLoss' for loss in losses if 'type' in loss)
    scores = head.get('out_channels') or head.get('num_classes')
    if scores == 1 and not sigmoid:
        raise UsageError(f'model.{name} has one score, and its loss a softmax, which is 1 whatever the score is',
                         f'model.{name}',
                         f'set model.{name}.num_classes=2, background and foreground; and, for one score, out_channels=1, '
                         'threshold=0.3, loss_decode.type=CrossEntropyLoss and loss_decode.use_sigmoid=True beside it',
                         '\n  ')


def _check_crop(cfg: Config) -> None:
    """What is cropped must have the size to which the preprocessor pads."""
    size = model_part(cfg, 'data_preprocessor').get('size')
    size = (size, size) if isinstance(size, int) else size
    for key, dataset in data_sets(cfg.get('train_dataloader')).items() if size else ():
        crops = [step for step in dataset.get('pipeline') or [] if isinstance(step, dict) and 'crop_size' in step]
        crop = crops[-1].crop_size if crops else None
        crop = (crop, crop) if isinstance(crop, int) else crop
        if not crop or tuple(crop) == tuple(size):
            continue
        where = f'crop_size={tuple(crop)} in train_dataloader.{key}.pipeline and model.data_preprocessor.size={tuple(size)}'
        if crop[0] > size[0] or crop[1] > size[1]:
            raise UsageError(f'{where}: the crop is larger', 'model.data_preprocessor.size', 'give both the same size')
        print_log(f'{where}: {1 - crop[0] * crop[1] / (size[0] * size[1]):.0%} of each image is padding; give both the same '
                  'size', logger='current', level=logging.WARNING)
