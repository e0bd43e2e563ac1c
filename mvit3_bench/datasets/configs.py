"""What a config says of its data sets."""
from mmengine.config import ConfigDict

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


def class_path(dataset: ConfigDict) -> str:
    """The class of a data set: its name, perhaps behind a scope or a module."""
    kind = dataset.type
    return kind if isinstance(kind, str) else f'{kind.__module__}.{kind.__name__}'


def type_name(dataset: ConfigDict) -> str:
    """The name of a data set's class, without the scope or the module that may stand before it."""
    return class_path(dataset).rpartition('.')[2]
