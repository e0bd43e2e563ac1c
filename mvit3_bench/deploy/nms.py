"""Non-maximum suppression that an exported model can hold: one operator for torch, one standard operator of ONNX."""
import torch
from torch import Tensor


def _nms(boxes: Tensor, scores: Tensor, iou_threshold: float, score_threshold: float, max_num: int = -1) -> Tensor:
    """Which boxes are kept, row by row: (R, K, 4), (R, K) -> (R, K), 1 where a box is kept and 0 elsewhere.

    A box is dropped if its score is not above ``score_threshold``, or if a kept box of a higher score overlaps it by more
    than ``iou_threshold``. Of the rest, the best ``max_num`` of a row are kept; all with -1.
    """
    from torchvision import ops  # of detectors alone
    kept = torch.zeros_like(scores)
    for row, (each, values) in enumerate(zip(boxes, scores, strict=True)):
        above = (values > score_threshold).nonzero()[:, 0]
        best = above[ops.nms(each[above], values[above], iou_threshold)]
        kept[row, best if max_num == -1 else best[:max_num]] = 1
    return kept


nms = torch.library.custom_op('mvit3_bench::nms', _nms, mutates_args=())


@nms.register_fake
def _(boxes: Tensor, scores: Tensor, iou_threshold: float, score_threshold: float, max_num: int = -1) -> Tensor:
    return torch.empty_like(scores)


def onnx_nms(boxes, scores, iou_threshold: float, score_threshold: float, max_num: int = -1):
    """``nms`` in operators of ONNX, for ``custom_translation_table`` of ``torch.onnx.export``."""
    from onnxscript import opset18 as op
    limit = op.Constant(value_ints=[2**20 if max_num == -1 else max_num])
    # each row is an image of one class; the answer is a list of (row, class, box)
    chosen = op.NonMaxSuppression(boxes, op.Unsqueeze(scores, op.Constant(value_ints=[1])), limit,
                                  op.Constant(value_floats=[iou_threshold]), op.Constant(value_floats=[score_threshold]))
    chosen = op.Gather(chosen, op.Constant(value_ints=[0, 2]), axis=1)
    ones = op.CastLike(op.ReduceMax(op.Add(op.Mul(chosen, op.Constant(value_ints=[0])), op.Constant(value_ints=[1])),
                                    op.Constant(value_ints=[1]), keepdims=0), scores)
    return op.ScatterND(op.Mul(scores, op.CastLike(op.Constant(value_float=0.0), scores)), chosen, ones)
