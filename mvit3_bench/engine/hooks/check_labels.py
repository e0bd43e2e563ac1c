"""Check the labels of each batch."""
import logging
from collections.abc import Iterable, Sequence

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.logging import print_log

from ...datasets.configs import class_names
from ...errors import UnreadableSample
from ...registry import HOOKS
from ...utils.text import shown


def check_labels(samples: Iterable, num_classes: int) -> None:
    """Check the masks of mmsegmentation's samples and the labels of mmpretrain's.

    Raises:
        UnreadableSample: A label is neither a class number nor, in a mask, 255; the message names the file.
    """
    for sample in samples:
        if 'gt_sem_seg' in sample:
            # with reduce_zero_label the file has numbers one higher, and 0 for what is ignored
            file, labels, ignored, shift = sample.seg_map_path, sample.gt_sem_seg.data, 255, sample.get('reduce_zero_label')
            fix = (f'fix the mask, whose pixels to ignore must be {"0 or " if shift else ""}255, or set num_classes and '
                      'metainfo to those of the data')
        elif 'gt_label' in sample:
            file, labels, ignored, shift = sample.img_path, sample.gt_label, None, False
            fix = 'correct its label, or set num_classes and metainfo to those of the data'
        else:  # a test set without labels
            continue
        foreign = labels[((labels < 0) | (labels >= num_classes)) & (labels != ignored)].unique().tolist()
        if foreign:
            first, names = int(bool(shift)), shown(str(label + bool(shift)) for label in foreign)
            raise UnreadableSample(f'{file} has the labels {names}; possible are {first} to {num_classes - 1 + first}'
                                   + (f', and {"0 and 255, which are" if shift else "255, which is"} ignored'
                                      if ignored else ''), file, fix)


def warn_of_binary_masks(samples: Iterable, classes: Sequence[str]) -> None:
    """Warn where the masks of a batch have no other labels than 0 and 255, since 255 is ignored."""
    masks = [sample.gt_sem_seg.data for sample in samples if 'gt_sem_seg' in sample]
    found = set().union(*(mask.unique().tolist() for mask in masks)) if masks else set()
    if found == {0, 255}:
        share = sum((mask == 255).sum().item() for mask in masks) / sum(mask.numel() for mask in masks)
        print_log(f'the masks of the first batch have no labels but 0 and 255, which means "ignore" ({share:.0%} of the '
                  f'pixels): no pixel is {shown(classes[1:], total=True)}; a mask of two classes has 0 and 1',
                  logger='current', level=logging.WARNING)


@HOOKS.register_module()
class CheckLabelsHook(Hook):
    """Stop at a label that is neither a class number nor, in a mask, 255; warn of classes that do not occur.

    Without this hook, mmsegmentation's metric ignores such pixels, and the losses fail without naming the file.

    Raises:
        UnreadableSample: A mask or an image has another label; the message names it.
    """

    def __init__(self):
        self._seen = set()  # labels of the validation or test
        self._is_first, self._has_warned = True, False

    def _before_iter(self, runner, batch_idx: int, data_batch: dict, mode: str) -> None:
        classes = _classes(runner, mode)
        if not classes:  # a data set without labels has none
            return
        samples = data_batch['data_samples']
        check_labels(samples, len(classes))
        if mode == 'train':
            if self._is_first:
                warn_of_binary_masks(samples, classes)
            self._is_first = False
        else:
            self._seen.update(*(sample.gt_sem_seg.data.unique().tolist() for sample in samples if 'gt_sem_seg' in sample))

    def before_val(self, runner) -> None:
        self._seen = set()

    before_test = before_val

    def after_val(self, runner) -> None:
        self._warn_of_absent(_classes(runner, 'val'))

    def after_test(self, runner) -> None:
        self._warn_of_absent(_classes(runner, 'test'))

    def _warn_of_absent(self, classes: Sequence[str]) -> None:
        """Warn, once, of classes without a pixel in the masks; the mean leaves them out."""
        if not self._seen or self._has_warned or get_world_size() > 1:  # of several processes each sees a share
            return
        if absent := [name for label, name in enumerate(classes) if label not in self._seen]:
            self._has_warned = True
            print_log(f'{len(absent)} of {len(classes)} classes have no pixel in the masks: {shown(absent)}',
                      logger='current', level=logging.WARNING)


def _classes(runner, mode: str) -> Sequence[str]:
    return class_names(getattr(runner, f'{mode}_dataloader').dataset)
