"""How the published segmentation is tested: the size of the network's input, and of its logits."""
from mmseg.models import data_preprocessor, segmentors
from mmseg.structures import SegDataSample
from torch import Tensor
from torch.nn import functional as F

from ...models.dilation import dilate
from ...registry import MODELS

_RESIZES = ('bilinear', 'nearest')


@MODELS.register_module()
class SegDataPreProcessor(data_preprocessor.SegDataPreProcessor):
    """mmseg's, which in a test also resizes the batch down to multiples of the output stride, as the v2 type is tested.

    Args:
        test_divisor: Height and width of a test's batch become the next lower multiple of it (bilinear, corners aligned),
            but no less than it.
        **kwargs: As in :class:`mmseg.models.SegDataPreProcessor`, without ``test_cfg``, which would pad.
    """

    def __init__(self, test_divisor: int, **kwargs):
        if kwargs.get('test_cfg'):
            raise ValueError('test_cfg, which pads, is not possible beside test_divisor, which resizes; remove one of them')
        super().__init__(**kwargs)
        self.test_divisor = test_divisor

    def forward(self, data: dict, training: bool = False) -> dict:
        """Data of a loader -> ``inputs`` (B, 3, H, W), normalised, and ``data_samples``."""
        data = super().forward(data, training)
        if not training:
            size = [max(side // self.test_divisor, 1) * self.test_divisor for side in data['inputs'].shape[2:]]
            if size != list(data['inputs'].shape[2:]):
                data['inputs'] = F.interpolate(data['inputs'], size, mode='bilinear', align_corners=True)
        return data


@MODELS.register_module()
class EncoderDecoder(segmentors.EncoderDecoder):
    """mmseg's, which brings the logits of a whole image to the size of its mask as published.

    mmseg resizes them twice, to the size of the input and from there to that of the image as it was read. Here
    ``test_cfg.resize`` says how:

    - ``'bilinear'``, the v2 type: once, from the head's stride to the image as it was read.
    - ``'nearest'``, the v1 type: bilinear to the size of the input, then the nearest to the image as it was read.

    Windows (``mode='slide'``) and images that are padded for the test are predicted as mmseg does. Other arguments are those
    of :class:`mmseg.models.EncoderDecoder`.

    Args:
        output_stride: Largest stride of the backbone's maps, kept by dilation, for one without such an argument.

    Raises:
        ValueError: ``test_cfg.resize`` is neither.
    """

    def __init__(self, *args, output_stride: int | None = None, **kwargs):
        super().__init__(*args, **kwargs)
        if output_stride:
            mean = getattr(self.data_preprocessor, 'mean', None)
            dilate(self.backbone, output_stride, channels=3 if mean is None else len(mean))
        self.resize = (self.test_cfg or {}).get('resize', 'bilinear')
        if self.resize not in _RESIZES:
            raise ValueError(f'test_cfg.resize={self.resize!r} is not possible; allowed: {", ".join(map(repr, _RESIZES))}')

    def predict(self, inputs: Tensor, data_samples: list[SegDataSample] | None = None) -> list[SegDataSample]:
        """Images (B, 3, H, W) -> a sample each, with ``seg_logits`` and ``pred_sem_seg`` of its ``ori_shape``.

        Without samples, which say what that is, they are of the images' own size.
        """
        if (self.test_cfg or {}).get('mode', 'whole') != 'whole' or any(map(_is_padded, data_samples or [])):
            return super().predict(inputs, data_samples)
        return self.predicted(self._forward(inputs), inputs.shape[2:], data_samples)

    def predicted(self, logits: Tensor, inputs: tuple[int, int],
                  data_samples: list[SegDataSample] | None = None) -> list[SegDataSample]:
        """The head's logits, (B, classes, h, w), of images of the size ``inputs`` -> what :meth:`predict` returns."""
        if self.resize == 'nearest':
            logits = self._bilinear(logits, inputs)
        if data_samples is None:
            return self.postprocess_result(self._bilinear(logits, inputs))
        for number, sample in enumerate(data_samples):
            own, size = logits[number:number + 1], tuple(sample.metainfo['ori_shape'][:2])
            own = F.interpolate(own, size) if self.resize == 'nearest' else self._bilinear(own, size)
            self.postprocess_result(own, [sample])  # which has nothing left to resize
        return data_samples

    def _bilinear(self, logits: Tensor, size: tuple[int, int]) -> Tensor:
        return F.interpolate(logits, size, mode='bilinear', align_corners=self.align_corners)


def _is_padded(sample: SegDataSample) -> bool:
    padding = sample.metainfo.get('img_padding_size', sample.metainfo.get('padding_size', [0]))
    return any(padding)
