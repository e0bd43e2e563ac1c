"""COCO's metric of boxes that are clipped to the image, as the published evaluation scores them."""
from collections.abc import Sequence

import numpy as np
from mmdet.evaluation import CocoMetric as MMDetCocoMetric

from ..registry import METRICS


@METRICS.register_module()
class CocoMetric(MMDetCocoMetric):
    """mmdet's metric, with the boxes clipped to the image just before they are scored.

    SSDLite's own boxes may reach outside. Only the score sees the clipped ones: the predictions stay as they are.
    Annotations are numbered anew, since pycocotools takes an id of 0 for "no match" and cannot score texts. Arguments
    and figures are those of :class:`mmdet.evaluation.CocoMetric`.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self._coco_api is not None:
            for number, annotation in enumerate(self._coco_api.dataset.get('annotations', []), start=1):
                annotation['id'] = number
            self._coco_api.createIndex()

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Keep what a batch has for the score, boxes clipped to 0 .. width and 0 .. height of the original image."""
        super().process(data_batch, data_samples)
        for truth, found in self.results[-len(data_samples):]:
            width, height = truth['width'], truth['height']
            found['bboxes'] = np.clip(found['bboxes'], 0, [width, height, width, height]).astype(found['bboxes'].dtype)
