"""Resuming: the types in an MMEngine checkpoint, in a form that cannot run code.

torch's safe unpickler calls the types on its list, and sets their state, with arguments from the file. numpy's own types are
not safe for that: `numpy.dtype` takes its fields and flags from the file, so that bytes can pose as pointers to objects. The
classes here stand for numpy's and MMEngine's, under their names, and take plain numbers and text only.
"""
import pickle
import re

import numpy as np
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer

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
    """Stands for `bytes`, which an empty array names as its contents; with a number it would allocate that many bytes."""
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
