"""Check the labels of each batch."""
from collections.abc import Iterable

from mmengine.hooks import Hook

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


@HOOKS.register_module()
class CheckLabelsHook(Hook):
    """Stop at a label that is neither a class number nor, in a mask, 255.

    Without this hook, mmsegmentation's metric ignores such pixels, and the losses fail without naming the file.

    Raises:
        UnreadableSample: A mask or an image has another label; the message names it.
    """

    def _before_iter(self, runner, batch_idx: int, data_batch: dict, mode: str) -> None:
        metainfo = getattr(getattr(runner, f'{mode}_dataloader').dataset, 'metainfo', {})
        if classes := metainfo.get('classes'):  # a data set without labels has none
            check_labels(data_batch['data_samples'], len(classes))
