"""The check that no image of the validation is trained on."""
import logging
import os
from collections import Counter
from dataclasses import dataclass

from mmengine.logging import print_log

from ...errors import UsageError
from ...utils.text import shown
from .sources import Source

_WITHOUT = 'val_dataloader=None val_cfg=None val_evaluator=None default_hooks.checkpoint.save_best=None'


@dataclass(frozen=True)
class Images:
    """The images of a data set.

    Args:
        source: Where they come from.
        names: Their paths below its folder.
    """
    source: Source
    names: list[str]

    def paths(self) -> list[str]:
        """Where they are, links in the names themselves not followed."""
        folder = self.source.folder.resolve()
        return [os.path.normpath(os.path.join(folder, name)) for name in self.names]


def check_repeats(trained: list[Images]) -> None:
    """Warn of images that the data sets of a training have more than once."""
    parts = [part for part in trained if not part.source.subset]
    counts = Counter(path for part in parts for path in (part.paths() if len(parts) > 1 else part.names))
    if twice := [path for path, count in counts.items() if count > 1]:
        sources = ', '.join(dict.fromkeys(str(part.source.file) for part in trained))
        print_log(f'{len(twice)} images are more than once in the training ({sources}): {shown(twice)}; take them out of '
                  'the lists where that is not on purpose', logger='current', level=logging.WARNING)


def check_leaks(trained: list[Images], validated: list[Images]) -> None:
    """Check that no image of the validation is trained on.

    Raises:
        UsageError: Some are; where a data set takes a subset of its images, it is a warning, since that may part them.
    """
    for train in trained:
        for val in validated:
            folders = [part.source.folder.resolve() for part in (train, val)]
            if not (folders[0].is_relative_to(folders[1]) or folders[1].is_relative_to(folders[0])):
                continue
            common = sorted(set(train.paths()).intersection(val.paths()))
            if not common:
                continue
            message = (f'{len(common)} of {len(val.names)} images of the validation ({val.source.file}) are in the training '
                       f'too ({train.source.file}): {shown(common)}')
            if not (train.source.subset or val.source.subset):
                raise UsageError(
                    message, val.source.file,
                    'a metric on images that were trained on says nothing: take them out of the training, or name other '
                    f'images in val_dataloader; to train without validation, --cfg-options {_WITHOUT}; to overfit on '
                    f'purpose, {val.source.name}.indices={len(val.names)}', '\n  ')
            print_log(message, logger='current', level=logging.WARNING)


def warn_of_trained(trained: list[Source], tested: list[Source]) -> None:
    """Warn where a test is on what the config trains on; subsets may part the images."""
    whole = [(part.folder.resolve(), part.file.resolve()) for part in trained if not part.subset]
    for part in tested:
        if not part.subset and (part.folder.resolve(), part.file.resolve()) in whole:
            print_log(f'test_dataloader reads the images that the config trains on ({part.file}): its metric says nothing '
                      'of others', logger='current', level=logging.WARNING)
