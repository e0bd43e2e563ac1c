"""COCO's metric of boxes that are clipped to the image, as the published evaluation scores them."""
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from mmdet.evaluation import CocoMetric as MMDetCocoMetric
from mmdet.evaluation.metrics import coco_metric
from mmengine.logging import print_log

from ...registry import METRICS

_ITEMS = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')  # as pycocotools counts them


def nothing_detected(kinds: Sequence[str] = ('bbox',), items: Sequence[str] | None = None) -> dict[str, float]:
    """The figures of a test in which no image has a detection, which mmdet leaves out: all are 0. A warning says so.

    Args:
        kinds: What is scored, ``'bbox'`` or ``'segm'``; other kinds are left out.
        items: Which figures; None: mmdet's six.
    """
    print_log('nothing was detected in any image: every mAP is 0', logger='current', level=logging.WARNING)
    return {f'{kind}_{item}': 0.0 for kind in kinds if kind in ('bbox', 'segm') for item in items or _ITEMS}


@contextmanager
def _evaluations() -> Iterator[list]:
    """The evaluations that mmdet makes within it: mmdet rounds their figures, and keeps none."""
    made, before = [], {name: getattr(coco_metric, name) for name in ('COCOeval', 'COCOevalMP')}

    def kept(kind: type) -> Callable:
        def make(*args):
            made.append(kind(*args))
            return made[-1]
        return make
    try:
        for name, kind in before.items():
            setattr(coco_metric, name, kept(kind))
        yield made
    finally:
        for name, kind in before.items():
            setattr(coco_metric, name, kind)


@METRICS.register_module()
class CocoMetric(MMDetCocoMetric):
    """mmdet's metric, with the boxes clipped to the image just before they are scored.

    SSDLite's own boxes may reach outside. Only the score sees the clipped ones: the predictions stay as they are.
    Annotations are numbered anew, since pycocotools takes an id of 0 for "no match" and cannot score texts. Where nothing
    is detected, mAP is 0, in place of no figure. mAP is not rounded, as mmdet's is to three digits, by which the best
    checkpoint would be the first of those within a tenth of a point. Arguments and other figures are those of
    :class:`mmdet.evaluation.CocoMetric`.
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

    def compute_metrics(self, results: list) -> dict[str, float]:
        """The figures of all images."""
        with _evaluations() as made:
            figures = super().compute_metrics(results)
        scored = [kind for kind in self.metrics if kind != 'proposal_fast']
        exact = {f'{kind}_{item}': float(value) for kind, each in zip(scored, made, strict=False)
                 for item, value in zip(_ITEMS, each.stats[:len(_ITEMS)], strict=True)}
        figures |= {key: exact[key] for key in figures.keys() & exact.keys()}
        if self.format_only or any(len(found['scores']) for _, found in results):
            return figures
        return nothing_detected(self.metrics, self.metric_items) | figures
