"""What a config says of its data sets."""
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmengine.fileio import list_from_file
from mmengine.registry import DATASETS
from torch.utils.data import Dataset

from ..errors import UsageError
from ..utils.text import printable

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
EVALUATORS = ('val_evaluator', 'test_evaluator')


def data_sets(loader: ConfigDict | None) -> dict[str, ConfigDict]:
    """The data sets of a loader, whatever wraps or joins them, by their keys below the loader; of no loader, none."""
    if loader is None:
        return {}
    inner = {'dataset': loader.dataset} if isinstance(loader.get('dataset'), dict) else {
        f'datasets.{number}': part for number, part in enumerate(loader.get('datasets') or []) if isinstance(part, dict)}
    return {'.'.join(filter(None, [key, below])): dataset
            for key, part in inner.items() for below, dataset in (data_sets(part) or {'': part}).items()}


def class_names(dataset: Dataset | None) -> Sequence[str]:
    """The names of a built data set's classes; empty if it has none, such as one without labels."""
    return (getattr(dataset, 'metainfo', None) or {}).get('classes') or ()


def meta_of_test(cfg: Config) -> dict:
    """What the data set of a config's test says of itself, such as ``classes``, by its class or ``metainfo``, without the
    data; nothing if there is no such data set.
    """
    for dataset in data_sets(cfg.get('test_dataloader')).values():
        with DATASETS.switch_scope_and_registry(cfg.get('default_scope')) as registry:
            kind = dataset.type if isinstance(dataset.type, type) else registry.get(dataset.type)
        named = {'classes': dataset.classes} if dataset.get('classes') else {}  # mmpretrain's way
        meta = getattr(kind, 'METAINFO', {}) | named | dict(dataset.get('metainfo') or {})
        if isinstance(file := meta.get('classes'), str) and Path(file).expanduser().is_file():
            meta['classes'] = list_from_file(Path(file).expanduser())
        return meta
    return {}


def short_names(meta: Mapping, segmentation: bool) -> list[str]:
    """Names of the classes as they are shown, without the synonyms that ImageNet's have behind a comma.

    Args:
        meta: What names them.
        segmentation: Whether they are a segmentor's: one of a single class, with a sigmoid, predicts 1 for it.

    Raises:
        UsageError: There are none.
    """
    if not meta.get('classes'):
        raise UsageError('neither the checkpoint nor the config names the classes', 'metainfo.classes',
                         'set test_dataloader.dataset.metainfo.classes, a list of names', ': ')
    names = [printable(str(name)).split(',')[0] for name in meta['classes']]
    return ['background', *names] if segmentation and len(names) == 1 else names


def meta_of_classes(cfg: Config, checkpoint: dict) -> dict:
    """What names the classes of a model: what its checkpoint was trained with, otherwise the data set of the config's test;
    nothing where neither does.
    """
    trained_on = checkpoint.get('meta', {}).get('dataset_meta')
    for found in (trained_on, meta_of_test(cfg)):
        meta = {key.lower(): value for key, value in (found or {}).items()}  # old checkpoints have capitals
        if 'classes' in meta:
            return meta
    return {}
