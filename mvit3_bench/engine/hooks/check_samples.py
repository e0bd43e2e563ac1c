"""Name a broken file in pipelines that do not use :class:`mvit3_bench.datasets.transforms.loading.Load`."""
from mmcv.transforms import LoadAnnotations, LoadImageFromFile
from mmengine.config import Config
from mmengine.hooks import Hook

from ...datasets.transforms.loading import Load
from ...registry import HOOKS


class LoadOrStop(Load):
    """Loading that raises an error for a broken file."""

    fix = 'repair or remove it'  # a metric over fewer images is another metric


def check_samples(dataset, **limits) -> None:
    """Wrap every loading step of a data set's pipeline in :class:`LoadOrStop`, also in data sets that it wraps or joins.

    ``limits`` are those of :class:`~mvit3_bench.datasets.transforms.loading.Load`.
    """
    for part in getattr(dataset, 'datasets', None) or filter(None, [getattr(dataset, 'dataset', None)]):
        check_samples(part, **limits)
    steps = getattr(getattr(dataset, 'pipeline', None), 'transforms', [])
    steps[:] = [LoadOrStop([step], **limits) if isinstance(step, (LoadImageFromFile, LoadAnnotations)) else step
                for step in steps]


def limits_of(cfg: Config) -> dict:
    """The limits that a config sets for :class:`CheckSamplesHook`; none without the hook."""
    hook = (cfg.get('default_hooks') or {}).get('samples') or {}
    return {key: value for key, value in hook.items() if key not in ('type', 'priority', '_scope_')}


@HOOKS.register_module()
class CheckSamplesHook(Hook):
    """Stop validation and test, and a training pipeline without ``Load``, at a broken file, and name it.

    This is a hook, since the frameworks' inferencers look for ``LoadImageFromFile`` by name in the test pipeline.

    Args:
        **limits: ``longest`` and ``any_depth`` of :class:`~mvit3_bench.datasets.transforms.loading.Load`.
    """

    def __init__(self, **limits):
        self.limits = limits

    def before_train(self, runner) -> None:
        check_samples(runner.train_dataloader.dataset, **self.limits)

    def before_val(self, runner) -> None:
        check_samples(runner.val_dataloader.dataset, **self.limits)

    def before_test(self, runner) -> None:
        check_samples(runner.test_dataloader.dataset, **self.limits)
