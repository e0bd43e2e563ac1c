"""Pictures of results."""
import mmcv
import numpy as np
import torch
from mmengine.dist import master_only
from mmengine.structures import PixelData
from mmseg.visualization import SegLocalVisualizer

from ..apis.drawing import enlarged
from ..registry import VISUALIZERS


@VISUALIZERS.register_module()
class SideBySideVisualizer(SegLocalVisualizer):
    """Image, truth and prediction side by side, small images enlarged. Arguments as in mmseg's ``SegLocalVisualizer``."""

    @master_only
    def add_datasample(self, name, image, data_sample=None, draw_gt=True, draw_pred=True, show=False, wait_time=0,
                       out_file=None, step=0, with_labels=True):
        """Draw and save one sample; arguments as in mmseg, ``image`` (H, W, 3) RGB."""
        image, data_sample = enlarged(image, data_sample)
        panels = [image]
        for key, wanted in (('gt_sem_seg', draw_gt), ('pred_sem_seg', draw_pred)):
            if wanted and data_sample is not None and key in data_sample:
                labels = PixelData(data=data_sample.get(key).data.cpu().to(torch.uint8))
                panels.append(self._draw_sem_seg(image, labels, self.dataset_meta['classes'], self.dataset_meta['palette'],
                                                 with_labels))
        drawn = np.concatenate(panels, axis=1)
        if show:
            self.show(drawn, win_name=name, wait_time=wait_time)
        if out_file is None:
            self.add_image(name, drawn, step)
        else:
            mmcv.imwrite(mmcv.rgb2bgr(drawn), out_file)

    def _get_center_loc(self, mask):
        # (x, y) of a class's name: the middle of its fullest row, as in mmseg, which needs a second an image for it
        row = mask.sum(axis=1).argmax()
        columns = np.flatnonzero(mask[row])
        return np.array([columns[len(columns) // 2], row])
