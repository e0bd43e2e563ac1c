"""The outcome of every test image, for comparisons of models on the same images, as npz files without pickle.

The metrics below stand beside a framework's own in a list of ``test_evaluator`` and add no figure. Of whatever number of
processes, the first one writes. Every file has ``names``, a hash of the names of the images in their order.
"""
import contextlib
import hashlib
import io
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.evaluator import BaseMetric

from ...checkpoints.atomic import atomic_write
from ...registry import METRICS


class _PerImage(BaseMetric):
    """A record of each image.

    Args:
        out_file: The npz to write; ``mvit3 test`` places a relative one in the work dir.
        collect_device: As in MMEngine.
    """
    default_prefix = 'per_image'

    def __init__(self, out_file: str, collect_device: str = 'cpu'):
        super().__init__(collect_device=collect_device)
        self.out_file = out_file

    def compute_metrics(self, results: list) -> dict:
        """Write the file; there are no figures."""
        names, arrays = self.arrays(results)
        with atomic_write(self.out_file) as file:
            np.savez_compressed(file, names=hash_names(names), **arrays)
        return {}

    @abstractmethod
    def arrays(self, results: list) -> tuple[list[str], dict[str, np.ndarray]]:
        """Names and arrays of all images, whose first axis they are."""


def hash_names(names: Sequence[str]) -> str:
    """A hash of the names of images, in their order."""
    return hashlib.sha256('\n'.join(names).encode()).hexdigest()[:16]


def _name(sample: dict) -> str:
    """A file and its folder: wherever a data set lies, its images have the same names."""
    return '/'.join(Path(sample['img_path']).parts[-2:])


@METRICS.register_module()
class PerImageAccuracy(_PerImage):
    """Of each image the ``predicted`` class, the true ``label``, and the latter's ``probability``: shape (images,)."""

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Keep what a batch has."""
        for sample in data_samples:
            scores, label = sample['pred_score'], int(sample['gt_label'])
            self.results.append((_name(sample), int(scores.argmax()), label, float(scores[label])))

    def arrays(self, results: list) -> tuple[list[str], dict[str, np.ndarray]]:
        """See the class."""
        names, predicted, label, probability = zip(*results, strict=True)
        return list(names), dict(predicted=np.array(predicted, np.int16), label=np.array(label, np.int16),
                                 probability=np.array(probability, np.float16))


@METRICS.register_module()
class PerImageIoU(_PerImage):
    """Of each image the pixels of ``intersection`` and ``union`` of every class: shape (images, classes).

    Args:
        out_file: As above.
        ignore_index: Pixels of this class in the truth do not count.
        collect_device: As in MMEngine.
    """

    def __init__(self, out_file: str, ignore_index: int = 255, collect_device: str = 'cpu'):
        super().__init__(out_file, collect_device)
        self.ignore_index = ignore_index

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Keep what a batch has."""
        from mmseg.evaluation import IoUMetric
        classes = len(self.dataset_meta['classes'])
        for sample in data_samples:
            predicted, truth = (sample[key]['data'].squeeze() for key in ('pred_sem_seg', 'gt_sem_seg'))
            areas = IoUMetric.intersect_and_union(predicted, truth.to(predicted), classes, self.ignore_index)
            self.results.append((_name(sample), *(area.numpy().astype(np.int32) for area in areas[:2])))

    def arrays(self, results: list) -> tuple[list[str], dict[str, np.ndarray]]:
        """See the class."""
        names, intersection, union = zip(*results, strict=True)
        return list(names), dict(intersection=np.stack(intersection), union=np.stack(union))


@METRICS.register_module()
class PerImageAP(_PerImage):
    """Detections matched to the truth as COCO's evaluation does it: at most 100 of a class in an image, of all sizes.

    Of each detection ``image``, ``category`` and ``score``, and as bits of a number, one for each IoU threshold from 0.50 to
    0.95, whether it is ``matched`` and whether it is ``ignored``: shape (detections,). ``truths`` are the boxes to find:
    shape (images, classes).

    Args:
        ann_file: The truth, in COCO's format.
        out_file: As above.
        collect_device: As in MMEngine.
    """

    def __init__(self, ann_file: str, out_file: str, collect_device: str = 'cpu'):
        super().__init__(out_file, collect_device)
        from pycocotools.coco import COCO
        with contextlib.redirect_stdout(io.StringIO()):
            self.truth = COCO(ann_file)

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Keep what a batch has."""
        for sample in data_samples:
            boxes, scores, labels = (sample['pred_instances'][key].cpu().numpy() for key in ('bboxes', 'scores', 'labels'))
            boxes = np.column_stack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])
            self.results.append((sample['img_id'], _name(sample), boxes, scores, labels))

    def arrays(self, results: list) -> tuple[list[str], dict[str, np.ndarray]]:
        """See the class."""
        results = sorted(results, key=lambda each: each[0])  # as COCO's evaluation has the images
        categories = self.truth.getCatIds(catNms=self.dataset_meta['classes'])
        rows = [np.column_stack([np.full(len(scores), image), boxes, scores, np.array(categories)[labels]])
                for image, _, boxes, scores, labels in results]
        matches = self._match(np.concatenate(rows), [image for image, *_ in results], categories)
        truths = np.zeros((len(results), len(categories)), np.int32)
        found = dict(image=[], category=[], score=[], matched=[], ignored=[])
        for number, each in enumerate(matches):  # a class after the other, all images of each
            category, image = divmod(number, len(results))
            if each:
                truths[image, category] = np.count_nonzero(each['gtIgnore'] == 0)
                found['image'] += [image] * len(each['dtScores'])
                found['category'] += [category] * len(each['dtScores'])
                found['score'] += each['dtScores']
                found['matched'] += list(_bits(each['dtMatches'] > 0))
                found['ignored'] += list(_bits(each['dtIgnore']))
        kinds = dict(image=np.int32, category=np.int16, score=np.float32, matched=np.uint16, ignored=np.uint16)
        return [name for _, name, *_ in results], dict(
            truths=truths, **{key: np.array(values, kinds[key]) for key, values in found.items()})

    def _match(self, rows: np.ndarray, images: list[int], categories: list[int]) -> list[dict | None]:
        """COCO's ``evalImgs``: of each class and image, in this order."""
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation = COCOeval(self.truth, self.truth.loadRes(rows) if len(rows) else COCO(), 'bbox')
            parameters = evaluation.params
            parameters.imgIds, parameters.catIds, parameters.maxDets = images, categories, [100]
            parameters.areaRng, parameters.areaRngLbl = parameters.areaRng[:1], parameters.areaRngLbl[:1]
            evaluation.evaluate()
        return evaluation.evalImgs


def _bits(flags: np.ndarray) -> np.ndarray:
    """(thresholds, detections) -> (detections,): bit t is the flag at threshold t."""
    return (flags.astype(np.uint16) << np.arange(len(flags), dtype=np.uint16)[:, None]).sum(0, dtype=np.uint16)
