"""Forging checkpoints: pickles, archives and headers that the ordinary writers would not write."""
import io
import json
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import torch
from mmengine.logging import HistoryBuffer
from torch import Tensor

StateDict = dict[str, Tensor]
TENSOR = torch._utils._rebuild_tensor_v2


class Made:
    """Pickles as the call ``function(*args)``, followed by setting `state` if there is one."""

    def __init__(self, function: Callable, *args, state=None):
        self.parts = (function, args) if state is None else (function, args, state)

    def __reduce__(self):
        return self.parts


class Named:
    """Pickles as this name, which need not exist here."""

    def __init__(self, module: str, name: str):
        self.__name__ = self.__qualname__ = name
        self.__module__ = module

    def __call__(self):
        """Pickle asks whether it could be called."""


class Lying:
    """Pickles as a storage of so many elements, whatever the file has."""

    def __init__(self, numel: int, key: str = '0', kind: str = 'FloatStorage'):
        self.identity = ('storage', getattr(torch, kind), key, 'cpu', numel)


class OldLying(Lying):
    """The same in the format before torch 1.6."""

    def __init__(self, numel: int):
        super().__init__(numel)
        self.identity += (None,)


class _Pickler(pickle._Pickler):  # that of C does not let a name stand for itself

    def persistent_id(self, value):
        return value.identity if isinstance(value, Lying) else None

    def save(self, value, save_persistent_id=True):
        if isinstance(value, Named):
            self.write(f'c{value.__module__}\n{value.__name__}\n'.encode())
        else:
            super().save(value, save_persistent_id)


class TorchPickle:
    """The pickle module for ``torch.save`` that writes names which do not exist."""
    Pickler = _Pickler
    dumps = pickle.dumps


def pickled(value) -> bytes:
    """Protocol 2, as torch writes it."""
    buffer = io.BytesIO()
    _Pickler(buffer, protocol=2).dump(value)
    return buffer.getvalue()


def archive(file: Path, data: bytes, compression: int = zipfile.ZIP_STORED, **entries: bytes) -> None:
    """The zip archive of torch around a pickle, with a storage 0 of 16 numbers."""
    with zipfile.ZipFile(file, 'w', compression) as out:
        for name, content in {'data.pkl': data, 'byteorder': b'little', 'data/0': bytes(64), 'version': b'3\n',
                              **entries}.items():
            out.writestr(f'archive/{name}', content)


def nested(opening: bytes, closing: bytes, depth: int = 200_000) -> bytes:
    """A pickle of opcodes that nest so deep."""
    return b'\x80\x02}X\x01\x00\x00\x00m' + opening * depth + closing * depth + b's.'


def command(file: Path) -> Made:
    """A call that writes the file ``canary`` beside this one."""
    return Made(os.system, touch(file))


def touch(file: Path) -> str:
    """The command that does."""
    return f'touch {file.with_name("canary")}'


def lying(file: Path, *args, function=TENSOR, storage=None, **extra) -> None:
    """A tensor built with these arguments after its storage of 16 numbers."""
    hooks = (False, OrderedDict()) if function is TENSOR else ()
    archive(file, pickled({'state_dict': OrderedDict(x=Made(function, storage or Lying(16), *args, *hooks))}), **extra)


def saved(file: Path, weights: StateDict, hostile, **options) -> None:
    """The weights, and in `meta` what is hostile."""
    torch.save(dict(state_dict=weights, meta=dict(note=hostile)), file, **options)


def safe(file: Path, header, data: bytes = bytes(64), length: int | None = None) -> None:
    """A file of safetensors with this header, and what it claims to be the header's length."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    file.write_bytes(struct.pack('<Q', len(text) if length is None else length) + text + data)


def entry(begin: int = 0, end: int = 64, shape=(16,), dtype: str = 'F32') -> dict:
    """A tensor in the header of safetensors."""
    return dict(dtype=dtype, shape=list(shape), data_offsets=[begin, end])


def history(**attributes) -> HistoryBuffer:
    """A history with foreign attributes."""
    result = HistoryBuffer([1.0], [1])
    result.__dict__.update(attributes)
    return result


def laughs(depth: int = 30) -> list:
    """A list of lists of one list: few objects, but 2 ** depth ways to them."""
    value = []
    for _ in range(depth):
        value = [value, value]
    return value


def rungs(depth: int = 100) -> list:
    """A chain of lists, each held by one more besides: whoever follows them from either end sees short ways only."""
    chain = [[]]
    for _ in range(depth):
        chain.append([chain[-1]])
    return [chain, chain[::-1]]


def cyclic() -> list:
    """A list that holds itself."""
    value = []
    value.append(value)
    return value


def whole(weights: StateDict, **options) -> bytes:
    """A healthy checkpoint."""
    buffer = io.BytesIO()
    torch.save(dict(state_dict=weights), buffer, **options)
    return buffer.getvalue()


def changed(weights: StateDict, change: Callable[[Tensor], object]) -> StateDict:
    """The weights, the first of them changed."""
    first = next(iter(weights))
    return weights | {first: change(weights[first])}
