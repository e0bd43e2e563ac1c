"""Non-maximum suppression that an exported graph can hold: one operator for torch, one standard operator of ONNX."""
import torch
from torch import Tensor


@torch.library.custom_op('mvit3_bench::suppress', mutates_args=())
def suppress(boxes: Tensor, scores: Tensor, iou_threshold: float, score_threshold: float, max_num: int = -1) -> Tensor:
    """Which boxes stay, each row for itself: (R, K, 4), (R, K) -> (R, K), 1 where a box stays and 0 elsewhere.

    A box goes if its score is not above ``score_threshold``, or if a better one that stays overlaps it by more than
    ``iou_threshold``. Of those left, the best ``max_num`` of a row stay; all with -1.
    """
    from torchvision.ops import nms  # of detectors alone
    kept = torch.zeros_like(scores)
    for row, (each, values) in enumerate(zip(boxes, scores, strict=True)):
        above = (values > score_threshold).nonzero()[:, 0]
        best = above[nms(each[above], values[above], iou_threshold)]
        kept[row, best if max_num == -1 else best[:max_num]] = 1
    return kept


@suppress.register_fake
def _(boxes: Tensor, scores: Tensor, iou_threshold: float, score_threshold: float, max_num: int = -1) -> Tensor:
    return torch.empty_like(scores)


def onnx_suppress(boxes, scores, iou_threshold: float, score_threshold: float, max_num: int = -1):
    """The same in operators of ONNX, for ``custom_translation_table`` of ``torch.onnx.export``."""
    from onnxscript import opset18 as op
    limit = op.Constant(value_ints=[2**20 if max_num == -1 else max_num])
    # each row is an image of one class; the answer is a list of (row, class, box)
    chosen = op.NonMaxSuppression(boxes, op.Unsqueeze(scores, op.Constant(value_ints=[1])), limit,
                                  op.Constant(value_floats=[iou_threshold]), op.Constant(value_floats=[score_threshold]))
    chosen = op.Gather(chosen, op.Constant(value_ints=[0, 2]), axis=1)
    ones = op.CastLike(op.ReduceMax(op.Add(op.Mul(chosen, op.Constant(value_ints=[0])), op.Constant(value_ints=[1])),
                                    op.Constant(value_ints=[1]), keepdims=0), scores)
    return op.ScatterND(op.Mul(scores, op.CastLike(op.Constant(value_float=0.0), scores)), chosen, ones)
