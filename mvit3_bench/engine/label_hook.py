"""A check of the masks that reach the network."""
from mmengine.hooks import Hook

from ..datasets.loading import UnreadableSample
from ..registry import HOOKS
from ..text import shown


@HOOKS.register_module()
class CheckLabelsHook(Hook):
    """Stop at a mask with a value that is neither a class number nor 255.

    mmsegmentation's metric would count its pixels for nothing, and its loss fail without naming the file.

    Raises:
        UnreadableSample: A mask has another value; the message names it.
    """

    def _before_iter(self, runner, batch_idx: int, data_batch: dict, mode: str) -> None:
        num_classes = len(getattr(runner, f'{mode}_dataloader').dataset.metainfo['classes'])
        for sample in data_batch['data_samples']:
            if 'gt_sem_seg' not in sample:  # a test set without masks
                continue
            labels = sample.gt_sem_seg.data
            foreign = labels[(labels >= num_classes) & (labels != 255)].unique().tolist()
            if foreign:
                raise UnreadableSample(f'{sample.seg_map_path} has the labels {shown(map(str, foreign))}; possible '
                                       f'are 0 to {num_classes - 1}, and 255, which is ignored')
