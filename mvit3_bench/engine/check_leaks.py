"""The check that no image of the validation is trained on."""
import logging
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from mmengine.logging import print_log

from ..text import shown
from .cli import UsageError

_WITHOUT = 'val_dataloader=None val_cfg=None val_evaluator=None default_hooks.checkpoint.save_best=None'


@dataclass(frozen=True)
class Images:
    """The images of a data set.

    Args:
        key: Key of the data set in the config.
        folder: What their names are relative to.
        names: Their paths below it.
        source: Where the names come from: a list, a json, or the folder.
        subset: Whether the config takes some of them only (``indices``, a fold).
    """
    key: str
    folder: Path
    names: list[str]
    source: Path
    subset: bool = False

    def paths(self) -> list[str]:
        """Where they are, links in the names themselves not followed."""
        folder = self.folder.resolve()
        return [os.path.normpath(os.path.join(folder, name)) for name in self.names]


def check_repeats(trained: list[Images]) -> None:
    """Warn of images that the data sets of a training have more than once."""
    parts = [part for part in trained if not part.subset]
    counts = Counter(path for part in parts for path in (part.paths() if len(parts) > 1 else part.names))
    if twice := [path for path, count in counts.items() if count > 1]:
        sources = ', '.join(dict.fromkeys(str(part.source) for part in trained))
        print_log(f'{len(twice)} images are more than once in the training ({sources}): {shown(twice)}; take them out of '
                  'the lists where that is not on purpose', logger='current', level=logging.WARNING)


def check_leaks(trained: list[Images], validated: list[Images]) -> None:
    """Check that no image of the validation is trained on.

    Raises:
        UsageError: Some are; where a data set takes a subset of its images, it is a warning, since that may part them.
    """
    for train in trained:
        for val in validated:
            folders = [part.folder.resolve() for part in (train, val)]
            if not (folders[0].is_relative_to(folders[1]) or folders[1].is_relative_to(folders[0])):
                continue
            common = sorted(set(train.paths()).intersection(val.paths()))
            if not common:
                continue
            message = (f'{len(common)} of {len(val.names)} images of the validation ({val.source}) are in the training too '
                       f'({train.source}): {shown(common)}')
            if not (train.subset or val.subset):
                raise UsageError(
                    f'{message}\n  a metric on images that were trained on says nothing: take them out of the training, or '
                    f'name other images in val_dataloader; to train without validation, --cfg-options {_WITHOUT}; to '
                    f'overfit on purpose, {val.key}.indices={len(val.names)}')
            print_log(message, logger='current', level=logging.WARNING)


def warn_of_trained(trained: list[tuple[Path, Path]], tested: list[tuple[Path, Path]]) -> None:
    """Warn where a test is on what the config trains on.

    Args:
        trained: Folder and source of each data set of the training.
        tested: The same of the test.
    """
    for folder, source in tested:
        if (folder.resolve(), source.resolve()) in [(other.resolve(), origin.resolve()) for other, origin in trained]:
            print_log(f'test_dataloader reads the images that the config trains on ({source}): its metric says nothing of '
                      'others', logger='current', level=logging.WARNING)
