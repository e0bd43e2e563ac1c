"""An exported file in the place of its model, so that it is tested as the model is: with data and metrics of the config."""
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import UsageError, first_line
from .quantise.calibration import as_taken
from .targets import TARGETS, require
from .wrappers import wrap


def form_of(file: str | Path) -> str | None:
    """The form of an exported file, by its suffix; None, if it is none."""
    return next((name for name, target in TARGETS.items() if Path(file).name.endswith(target.suffix)), None)


class FileModel(nn.Module):
    """Predicts by a file in its runtime, image by image. Images of another size are resized, and a warning says so.

    Args:
        model: Of OpenMMLab's. Its post-processing is used where the file ends before it; its weights are not used.
        file: As :func:`mvit3_bench.deploy.export.export` writes it.
        size: Height and width that the file takes, for one that does not tell.

    Raises:
        ImportError: A package is missing.
        ValueError: A model of this kind, or of this size, cannot be exported; or no size is known.
        UsageError: The file is not there or cannot be loaded, or its runtime does not run on this machine.
    """

    def __init__(self, model: nn.Module, file: str | Path, size: tuple[int, int] | None):
        super().__init__()
        form = form_of(file)
        require(form)
        if not Path(file).exists():
            raise UsageError(f'{file} does not exist', file)
        try:
            loaded = TARGETS[form].load(Path(file))
        except Exception as error:  # of any runtime
            raise UsageError(f'{file} cannot be loaded: {first_line(error)}', file) from error
        if loaded.call is None:
            raise UsageError(f'{file} cannot be tested: the runtime of {form} does not run on this machine', file)
        self.file, self.call, self.warned = file, loaded.call, False
        self.size, self.ends_early = loaded.size or size, 'logits' in loaded.outputs
        if self.size is None:
            raise ValueError(f'neither {file} nor the config tells the size of its images')
        self.wrapper = wrap(model.eval(), self.size, raw=True)
        self.answer = dict(classification=self._classes, segmentation=self._masks, detection=self._boxes)[self.wrapper.task]

    @torch.no_grad()
    def test_step(self, data: dict) -> list:
        """A batch of a test's data loader -> its data samples, with predictions."""
        return [self.answer(self._run(image), sample, tuple(image.shape[1:]))
                for image, sample in zip(data['inputs'], data['data_samples'], strict=True)]

    def _run(self, image: Tensor) -> list[Tensor]:
        if (given := tuple(image.shape[1:])) != self.size and not self.warned:
            self.warned = True
            warnings.warn(f'the test has images of other sizes, such as {given[0]}x{given[1]}, than {self.file}, which '
                          f'takes {self.size[0]}x{self.size[1]}: they are resized, which changes the score',
                          stacklevel=2)
        try:
            return self.call(as_taken(image, self.size)[None])
        except Exception as error:  # of any runtime
            raise UsageError(f'{self.file} does not run on images of {self.size[0]}x{self.size[1]}: {first_line(error)}',
                             self.file) from error

    def _classes(self, found: list[Tensor], sample, given: tuple[int, int]):
        logits, head = found[0], self.wrapper.model.head
        if not (self.ends_early or logits.min() < 0 or logits.max() > 1):  # scores; some runtimes have no names
            logits = logits.logit() if self.wrapper.sigmoid else logits.clamp(1e-30).log()
        return head._get_predictions(logits, [sample])[0]

    def _masks(self, found: list[Tensor], sample, given: tuple[int, int]):
        from mmengine.structures import PixelData
        model = self.wrapper.model
        if found[0].ndim == 4:  # logits of the head
            if hasattr(model, 'predicted'):  # mvit3_bench.EncoderDecoder, which has two ways to resize
                return model.predicted(found[0], given, [sample])[0]
            logits = F.interpolate(found[0], given, mode='bilinear', align_corners=model.align_corners)
            return model.postprocess_result(logits, [sample])[0]
        labels = F.interpolate(found[0][None].float(), sample.ori_shape[:2], mode='nearest')[0].long()
        return sample.set_data(dict(pred_sem_seg=PixelData(data=labels))) or sample

    def _boxes(self, found: list[Tensor], sample, given: tuple[int, int]):
        from mmengine.structures import InstanceData
        boxes, scores, labels = (each[0] for each in (found if len(found) == 3 else self.wrapper.finish(*found)))
        kept = labels >= 0
        sides = zip(sample.scale_factor, reversed(self.size), reversed(given), strict=True)  # of x and y
        scale = boxes.new_tensor([factor * ours / theirs for factor, ours, theirs in sides]).repeat(2)
        sample.pred_instances = InstanceData(bboxes=boxes[kept] / scale, scores=scores[kept], labels=labels[kept])
        return sample
