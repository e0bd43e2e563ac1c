"""Loading that names a broken file, in pipelines whose config does not say so."""
from mmcv.transforms import LoadAnnotations, LoadImageFromFile
from mmengine.hooks import Hook

from ...datasets.transforms.loading import Load
from ...registry import HOOKS


class LoadOrStop(Load):
    """Loading that stops at a broken file, whatever the config says."""

    fix = 'repair or remove it'  # a metric over fewer images is another metric


def check_samples(dataset) -> None:
    """Put every loading step of a data set's pipeline, and of those that it wraps or joins, into :class:`.loading.Load`."""
    for part in getattr(dataset, 'datasets', None) or filter(None, [getattr(dataset, 'dataset', None)]):
        check_samples(part)
    steps = getattr(getattr(dataset, 'pipeline', None), 'transforms', [])
    steps[:] = [LoadOrStop([step]) if isinstance(step, (LoadImageFromFile, LoadAnnotations)) else step for step in steps]


@HOOKS.register_module()
class CheckSamplesHook(Hook):
    """Let validation and test, and a training pipeline without :class:`.loading.Load`, stop at a broken file and name it.

    A config cannot have it in its test pipeline: the frameworks' inferencers look there for ``LoadImageFromFile`` by name.
    """

    def before_train(self, runner) -> None:
        check_samples(runner.train_dataloader.dataset)

    def before_val(self, runner) -> None:
        check_samples(runner.val_dataloader.dataset)

    def before_test(self, runner) -> None:
        check_samples(runner.test_dataloader.dataset)
