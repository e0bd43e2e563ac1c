"""What lets today's torch and mmcv-lite work with the released OpenMMLab packages.

Importing this module is all there is to do; a second import changes nothing. It does four things:

1. **mmcv-lite.** mmdet and mmseg import `mmcv._ext`, the compiled operators that mmcv-lite leaves
   out. A stand-in takes its place, with the operators our recipes need built on torchvision and
   torch. A real `mmcv._ext` is never replaced.
2. **Resuming.** Since torch 2.6 `torch.load` refuses every type it does not know, and a checkpoint
   of MMEngine 0.10.7 holds a few of those. We name them to torch, and only in a form that cannot
   run code. The safety stays on.
3. **Untrusted checkpoints.** MMEngine's own loads go through `mvit3_bench.checkpoints`, which looks at
   a file before it loads it (docs/security.md).
4. **The forks.** A config with a base of mmsegmentation's, `mmseg::...`, is found with onedl-mmengine too.

This imports mmengine and torch; mmcv if it is installed; torchvision once an operator needs it.
"""
import functools
import importlib.machinery
import importlib.util
import logging
import pickle
import re
import sys
import types

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer, print_log

from ..checkpoints import loaders
from .forks import name_mmseg

# --------------------------------------------------------------------------------------------------
# 1. mmcv-lite: a stand-in for the compiled operators
# --------------------------------------------------------------------------------------------------
# Each operator has the arguments of the compiled one and, like it, fills the tensor it is handed.

EXT = 'mmcv._ext'
REMEDY = 'pip install -U openmim && mim install "mmcv==2.1.0"'


@functools.cache
def _announce() -> None:
    """Say once per process, at the first call, that results come from the stand-in.

    At the first call and not at import: a classification run never calls an operator and need not
    hear of it, and by then the run has its log file.
    """
    print_log('mmcv has no compiled operators: mvit3_bench computes NMS, RoIAlign and focal loss '
              f'with torchvision and torch. For the compiled ones: {REMEDY}',
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
            f"RoIAlign with pool_mode='max' needs the compiled mmcv; use 'avg', or: {REMEDY}")
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
                    f'mvit3_bench stands in for {", ".join(OPERATORS)} only. Install: {REMEDY}')
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


# --------------------------------------------------------------------------------------------------
# 2. Resuming: the types in an MMEngine checkpoint, in a form that cannot run code
# --------------------------------------------------------------------------------------------------
# torch's safe unpickler calls what stands on its list, and sets its state, with whatever the file
# says. numpy's own types are not fit for that: `numpy.dtype` takes its fields and flags from the
# file, so that bytes can pose as pointers to objects. The classes here stand for numpy's and
# MMEngine's, under their names, and take plain numbers and text only.

_PLAIN_DTYPE = re.compile(r'[biufcSU]\d+')  # numbers and text: no objects, no records


def _refuse(what: str) -> None:
    raise pickle.UnpicklingError(
        f'The file holds {what}. No checkpoint of MMEngine does, and it could serve to run code: '
        'do not load this file unless you know where it comes from.')


class _Dtype:
    """Stands for `numpy.dtype`: only the code and the byte order come from the file."""

    def __init__(self, code, *_):
        if type(code) is not str or not _PLAIN_DTYPE.fullmatch(code):
            _refuse(f'a numpy array of type {code!r}')
        self.dtype = np.dtype(code)

    def __setstate__(self, state):
        if type(state) is not tuple or len(state) < 2 or state[1] not in ('<', '>', '|', '='):
            _refuse('a numpy type of unknown byte order')
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array(np.ndarray):
    """Stands for `numpy.ndarray`: an array in every respect, filled once and from plain bytes."""

    def __new__(cls, *args, **kwargs):
        _refuse('a numpy array over foreign memory')

    def __setstate__(self, state):
        if self.size:  # filling it again would free memory that a tensor may share
            _refuse('a numpy array that is filled twice')
        _, shape, dtype, fortran, data = state
        if type(dtype) is not _Dtype or type(data) is not bytes:
            _refuse('a numpy array without plain contents')
        if not dtype.dtype.itemsize:  # any number of elements would do with no data
            _refuse('a numpy array of elements without a size')
        super().__setstate__((1, shape, dtype.dtype, fortran, data))  # numpy compares the sizes

    def __reduce_ex__(self, protocol):
        return np.asarray(self).__reduce_ex__(protocol)  # saved again, it is numpy's own


def _reconstruct(*_):
    """Stands for numpy's `_reconstruct`: an empty array, to be filled next."""
    return np.empty(0).view(_Array)


def _scalar(dtype, data):
    """Stands for numpy's `scalar`, the form of a `np.float64` such as the best score."""
    if type(dtype) is not _Dtype or type(data) is not bytes or len(data) != dtype.dtype.itemsize:
        _refuse('a numpy number without plain contents')
    return np.ndarray((), dtype.dtype, buffer=data)[()]


class _History(HistoryBuffer):
    """Stands for MMEngine's `HistoryBuffer` until its state is set; from then on it is one."""

    def __setstate__(self, state):
        arrays = ('_log_history', '_count_history')
        known = {*arrays, 'max_length', 'statistics_methods'}
        if type(state) is not dict or set(state) != known:  # a foreign one could shadow a method
            _refuse('a HistoryBuffer with missing or foreign attributes')
        if not all(isinstance(state[key], np.ndarray) for key in arrays):
            _refuse('a HistoryBuffer whose history is no array')
        # The statistics methods belong to the class: taken from a file, they would change every
        # buffer of this process. The class has the standard ones; the unpickler refuses others.
        plain = {key: np.array(state[key]) for key in arrays}
        self.__class__ = HistoryBuffer
        self.__setstate__(dict(plain, max_length=int(state['max_length'])))


_STATISTICS = {name: getattr(HistoryBuffer, name) for name in ('min', 'max', 'current', 'mean')}


def _getattr(owner, name, *_):
    """Stands for `getattr`, pickle's way to a function in a class: HistoryBuffer's statistics only.

    Raises:
        pickle.UnpicklingError: For any other object or name.
    """
    if not (owner is _History or owner is HistoryBuffer) or name not in tuple(_STATISTICS):
        _refuse(f'a look-up of attribute {name!r}')
    return _STATISTICS[name]


# numpy 1 and 2 write different names for the same function; a file may come from either.
_NUMPY = [(_Dtype, 'numpy.dtype'), (_Array, 'numpy.ndarray'),
          (_reconstruct, 'numpy.core.multiarray._reconstruct'),
          (_reconstruct, 'numpy._core.multiarray._reconstruct'),
          (_scalar, 'numpy.core.multiarray.scalar'),
          (_scalar, 'numpy._core.multiarray.scalar')]
_MMENGINE = [(_History, 'mmengine.logging.history_buffer.HistoryBuffer'),
             (_getattr, 'builtins.getattr'),
             # A dict out of a config, e.g. `metainfo=dict(label_map=dict(...))` of a dataset.
             (ConfigDict, 'mmengine.config.config.ConfigDict')]


def _no_bytes():
    """Stands for `bytes`, the way an empty array says that it has no contents; a number would ask for so many bytes."""
    return b''


_BYTES = [(_no_bytes, 'builtins.bytes')]


def allow_checkpoint_types() -> None:
    """Add the types in an MMEngine checkpoint to torch's list of safe ones, for the whole process.

    A group is added whole or not at all. Where a fork of MMEngine or the user has named one of its
    types already, theirs stay: of two entries with one name torch takes either, and halves of
    different origin do not fit together.
    """
    taken = {entry[1] if isinstance(entry, tuple) else f'{entry.__module__}.{entry.__qualname__}'
             for entry in torch.serialization.get_safe_globals()}
    for group in (_NUMPY, _MMENGINE, _BYTES):
        if taken.isdisjoint(name for _, name in group):
            torch.serialization.add_safe_globals(group)


install_ext_stand_in()
allow_checkpoint_types()
loaders.install()
name_mmseg()
