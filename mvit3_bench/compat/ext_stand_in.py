"""mmcv-lite: a stand-in for the compiled operators that it leaves out.

Each operator has the arguments of the compiled one and, like it, fills the tensor it is handed.
"""
import functools
import importlib.machinery
import importlib.util
import logging
import sys
import types

import torch
import torch.nn.functional as F
from mmengine.logging import print_log

EXT = 'mmcv._ext'
INSTALL = 'pip install -U openmim && mim install "mmcv==2.1.0"'


@functools.cache
def _announce() -> None:
    """Say once per process, at the first call, that results come from the stand-in.

    At the first call and not at import: a classification run never calls an operator and need not
    hear of it, and by then the run has its log file.
    """
    print_log('mmcv has no compiled operators: mvit3_bench computes NMS, RoIAlign and focal loss '
              f'with torchvision and torch. For the compiled ones: {INSTALL}',
              logger='current', level=logging.INFO)


def _nms(boxes, scores, iou_threshold, offset):
    from torchvision.ops import nms
    # With offset 1 a box is x2 - x1 + 1 wide: the same box with its far corner one pixel further.
    # mmcv's kernel reads the boxes as float32; torchvision wants scores of the same type.
    far_corner = boxes.new_tensor([0, 0, offset, offset], dtype=torch.float32)
    return nms(boxes.float() + far_corner, scores.float(), iou_threshold)


def _pool(features, rois, aligned_height, aligned_width, spatial_scale, sampling_ratio, pool_mode,
          aligned):
    from torchvision.ops import roi_align
    if pool_mode != 1:  # mmcv's code: 0 is max, 1 is avg
        raise NotImplementedError(
            f"RoIAlign with pool_mode='max' needs the compiled mmcv; use 'avg', or: {INSTALL}")
    return roi_align(features, rois.to(features.dtype), (aligned_height, aligned_width),
                     spatial_scale, sampling_ratio, bool(aligned))


def _roi_align_forward(input, rois, output, argmax_y, argmax_x, **options):
    output.copy_(_pool(input, rois, **options))


def _roi_align_backward(grad_output, rois, argmax_y, argmax_x, grad_input, **options):
    # RoIAlign is linear in the features: its gradient at zero is its gradient everywhere.
    with torch.enable_grad():
        features = torch.zeros_like(grad_input, requires_grad=True)
        pooled = _pool(features, rois, **options)
    grad_input.copy_(torch.autograd.grad(pooled, features, grad_output.to(pooled.dtype))[0])


def _focal_terms(input, target, weight, alpha):
    """Logits signed towards the label, where the label is, and the factor of each: all (N, C)."""
    x = input if input.dtype == torch.float64 else input.float()  # half is too coarse for the logs
    is_label = target[:, None] == torch.arange(x.size(1), device=x.device)  # C is the background
    factor = torch.where(is_label, alpha, 1 - alpha).to(x.dtype)
    if weight.numel():  # mmcv passes an empty tensor for "no weight"
        factor = factor * weight[target][:, None]
    return torch.where(is_label, x, -x), is_label, factor


def _sigmoid_focal_loss_forward(input, target, weight, output, gamma, alpha):
    x, _, factor = _focal_terms(input, target, weight, alpha)
    output.copy_(-factor * torch.sigmoid(-x) ** gamma * F.logsigmoid(x))


def _sigmoid_focal_loss_backward(input, target, weight, grad_input, gamma, alpha):
    # With p = sigmoid(x) and q = 1 - p:  d/dx [-q^gamma log p] = q^gamma (gamma p log p - q)
    x, is_label, factor = _focal_terms(input, target, weight, alpha)
    p, q = torch.sigmoid(x), torch.sigmoid(-x)
    grad = factor * q ** gamma * (gamma * p * F.logsigmoid(x) - q)
    grad_input.copy_(torch.where(is_label, grad, -grad))  # undoes the sign given to x


def _not_compiled():
    return 'not compiled (mvit3_bench stand-in)'


OPERATORS = dict(
    nms=_nms,
    roi_align_forward=_roi_align_forward,
    roi_align_backward=_roi_align_backward,
    sigmoid_focal_loss_forward=_sigmoid_focal_loss_forward,
    sigmoid_focal_loss_backward=_sigmoid_focal_loss_backward,
    get_compiler_version=_not_compiled,  # this and the next are for mmcv's environment report
    get_compiling_cuda_version=_not_compiled)


class ExtStandIn(types.ModuleType):
    """A module with every operator: those in `OPERATORS` work, any other one raises when called.

    mmcv checks on import that each operator exists, hence all do. Names like `__path__` do not:
    Python, pickle and torch.compile ask modules for them and would believe the answer.
    """

    def __init__(self):
        super().__init__(EXT, 'Stand-in for the compiled operators of mmcv (mvit3_bench.compat).')
        # `find_spec` fails on a module without a spec; no loader tells mmcv: nothing is compiled.
        self.__spec__ = importlib.machinery.ModuleSpec(EXT, loader=None)

    def __getattr__(self, name):
        if name.startswith('__'):
            raise AttributeError(f'module {EXT!r} has no attribute {name!r}')

        def operator(*args, **kwargs):
            if name not in OPERATORS:
                raise NotImplementedError(
                    f'operator {name!r} needs the compiled mmcv, but mmcv-lite is installed; '
                    f'mvit3_bench stands in for {", ".join(OPERATORS)} only. Install: {INSTALL}')
            _announce()
            return OPERATORS[name](*args, **kwargs)

        operator.__name__ = operator.__qualname__ = name
        setattr(self, name, operator)  # the next look-up finds the same function
        return operator


def install_ext_stand_in() -> None:
    """Put the stand-in at `mmcv._ext` if mmcv is installed and has no such module."""
    if EXT in sys.modules or importlib.util.find_spec('mmcv') is None:
        return
    if importlib.util.find_spec(EXT) is not None:  # to answer, it imports mmcv itself
        return
    sys.modules[EXT] = sys.modules['mmcv']._ext = ExtStandIn()
    # If this was imported before (mmpretrain does it), it has gone without a class that mmdet, on
    # being imported later, looks for here.
    transformer = sys.modules.get('mmcv.cnn.bricks.transformer')
    if transformer is not None:
        from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttention
        transformer.MultiScaleDeformableAttention = MultiScaleDeformableAttention
