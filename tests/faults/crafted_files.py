"""Checkpoints as an attacker would write them: each fits the model, but for the one thing that makes it hostile."""
import json
import os
import pickle
import struct
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer
from torch import Tensor

from .crafting import (
    TENSOR,
    Lying,
    Made,
    Named,
    OldLying,
    StateDict,
    TorchPickle,
    archive,
    changed,
    command,
    cyclic,
    entry,
    history,
    laughs,
    lying,
    nested,
    pickled,
    rungs,
    safe,
    saved,
    touch,
    whole,
)

# What a pickle may call. The command writes the canary.
_CALLS: dict[str, Callable[[str], object]] = {
    'os.system': lambda text: Made(os.system, text),
    'posix.system': lambda text: Made(Named('posix', 'system'), text),
    'nt.system': lambda text: Made(Named('nt', 'system'), text),
    'subprocess.Popen': lambda text: Made(Named('subprocess', 'Popen'), ['sh', '-c', text]),
    'subprocess.check_output': lambda text: Made(Named('subprocess', 'check_output'), ['sh', '-c', text]),
    'pty.spawn': lambda text: Made(Named('pty', 'spawn'), ['sh', '-c', text]),
    'eval': lambda text: Made(eval, f'__import__("os").system({text!r})'),
    'exec': lambda text: Made(exec, f'import os; os.system({text!r})'),
    '__import__': lambda text: Made(__import__, 'antigravity'),
    'importlib.import_module': lambda text: Made(Named('importlib', 'import_module'), 'antigravity'),
    'runpy.run_path': lambda text: Made(Named('runpy', 'run_path'), '/dev/stdin'),
    'open': lambda text: Made(open, text.split()[-1], 'w'),
    'getattr of globals': lambda text: Made(getattr, Made(getattr, HistoryBuffer, 'mean'), '__globals__'),
    'getattr of init': lambda text: Made(getattr, HistoryBuffer, '__init__'),
    'setattr': lambda text: Made(setattr, Tensor, 'copy_', None),
    'operator.attrgetter': lambda text: Made(Named('operator', 'attrgetter'), 'system'),
    'functools.partial': lambda text: Made(Named('functools', 'partial'), os.system, text),
    'torch.load': lambda text: Made(torch.load, '/dev/zero'),
    'torch.hub.load': lambda text: Made(Named('torch.hub', 'load'), '.', 'x'),
    'add_safe_globals': lambda text: Made(torch.serialization.add_safe_globals, [os.system]),
    'rebuild from type': lambda text: Made(torch._tensor._rebuild_from_type_v2, os.system, Tensor, (text,), {}),
    'in an object array': lambda text: np.array([Made(os.system, text)], dtype=object),
    'in a history': lambda text: history(max_length=Made(os.system, text)),
    'in a ConfigDict': lambda text: ConfigDict(a=[Made(os.system, text)]),
    'in a key': lambda text: {Made(os.system, text): 1},
}
# Types that torch or mvit3_bench.compat allow, with arguments that no checkpoint has.
_VALUES: dict[str, Callable[[], object]] = {
    'bytearray of 1 TB': lambda: Made(bytearray, 2 ** 40),
    'bytes of 1 TB': lambda: Made(Named('__builtin__', 'bytes'), 2 ** 40),
    'storage of 1 TB': lambda: Made(torch.UntypedStorage, 2 ** 40),
    'tensor type of 4 TB': lambda: Made(torch.FloatTensor, 2 ** 40),
    'uninitialised tensor': lambda: Made(torch.FloatTensor, 1000),
    'meta tensor': lambda: torch.empty(4, device='meta'),
    'quantised tensor': lambda: Made(
        torch._utils._rebuild_qtensor, torch.ones(1).untyped_storage(), 0, (1,), (1,), (), False, {}),
    'sparse tensor with indices outside': lambda: Made(
        torch._utils._rebuild_sparse_tensor, torch.sparse_coo,
        (torch.tensor([[10 ** 9]]), torch.ones(1), torch.Size([2]), False)),
    'nested tensor': lambda: Made(torch._utils._rebuild_nested_tensor, torch.ones(1), torch.tensor([[2 ** 40]]),
                                  torch.tensor([[1]]), torch.tensor([0])),
    'wrapper subclass': lambda: Made(torch._utils._rebuild_wrapper_subclass, Tensor, torch.float32, (2,), (1,), 0,
                                     torch.strided, 'cpu', False),
    'parameter with hooks': lambda: Made(torch._utils._rebuild_parameter, torch.ones(1), True, OrderedDict(a=1)),
    'shadowed methods': lambda: Made(OrderedDict, state=dict(copy=OrderedDict)),
    'slow encoding': lambda: Made(Named('_codecs', 'encode'), 'é' * 100_000, 'punycode'),
    'ConfigDict with a state': lambda: Made(ConfigDict, state=dict(keys=1)),
    'forged numpy type': lambda: Made(np.dtype, 'V8', False, True, state=(
        3, '|', None, ('a',), {'a': (np.dtype('O'), 0)}, 8, 1, 0)),
    'array over foreign memory': lambda: Made(np.ndarray, (1,), 'f8', b'12345678'),
    'array of 2^40 empty texts': lambda: Made(np._core.multiarray._reconstruct, np.ndarray, (0,), b'b', state=(
        1, (2 ** 40,), np.dtype('U0'), False, b'')),
    'array larger than its data': lambda: Made(np._core.multiarray._reconstruct, np.ndarray, (0,), b'b', state=(
        1, (2 ** 40,), np.dtype('f8'), False, b'12345678')),
    'history with a foreign method': lambda: history(mean=HistoryBuffer.max),
    'object that holds itself': cyclic,
    'lists in lists, from below': rungs,
    'a billion laughs': laughs,
    'key that steers a terminal': lambda: {'\x1b]0;owned\x07': 1},
    'key of half a character': lambda: {'\ud800': 1},
    'tensor under a number': lambda: {7: torch.ones(1)},
}
# Tensors and archives that are not what they say.
_FILES: dict[str, Callable[[Path, StateDict, Random], None]] = {
    'tensor of 2^60 numbers': lambda file, weights, rng: lying(file, 0, (2 ** 60,), (1,)),
    'tensor of 2^63 rows': lambda file, weights, rng: lying(file, 0, (2 ** 63 - 1, 2 ** 63 - 1), (2 ** 62, 2 ** 62)),
    'strides beyond the data': lambda file, weights, rng: lying(file, 0, (4, 4), (rng.randrange(5, 10 ** 6), 1)),
    'offset beyond the data': lambda file, weights, rng: lying(file, rng.randrange(1, 10 ** 6), (16,), (1,)),
    'negative offset': lambda file, weights, rng: lying(file, -rng.randrange(1, 10 ** 6), (4,), (1,)),
    'negative stride': lambda file, weights, rng: lying(file, 8, (4,), (-rng.randrange(1, 9),)),
    '2^40 views of one number': lambda file, weights, rng: lying(file, 0, (2 ** 40,), (0,)),
    'storage larger than its entry': lambda file, weights, rng: lying(file, 0, (1000,), (1,), storage=Lying(1000)),
    'storage of 2^60 numbers': lambda file, weights, rng: lying(file, 0, (16,), (1,), storage=Lying(2 ** 60)),
    'storage that is not there': lambda file, weights, rng: lying(file, 0, (16,), (1,), storage=Lying(16, '1')),
    'storage of a path': lambda file, weights, rng: lying(file, 0, (16,), (1,), storage=Lying(16, '../../etc/passwd')),
    'lists 200000 deep': lambda file, weights, rng: archive(file, nested(b']', b'a')),
    'tuple 200000 deep as a key': lambda file, weights, rng: archive(
        file, b'\x80\x02})' + b'\x85' * 200_000 + b'Ns.'),
    'keys that collide': lambda file, weights, rng: archive(file, b'\x80\x02}(' + b''.join(
        b'\x8a\x0a' + (number * (2 ** 61 - 1)).to_bytes(10, 'little') + b'N' for number in range(100_000)) + b'u.'),
    'entries for a tensor': lambda file, weights, rng: archive(
        file, pickled(Made(TENSOR, Lying(16), 0, (16,), (1,), False, OrderedDict()))[:-1] + b'K\x00K\x01s.'),
    'bomb of 2 GB': lambda file, weights, rng: archive(
        file, b'\x80\x02X' + struct.pack('<I', 64_000_000) + bytes(64_000_000) + b'.', zipfile.ZIP_DEFLATED),
    'compressed storage': lambda file, weights, rng: lying(file, 0, (16,), (1,), compression=zipfile.ZIP_DEFLATED),
    'path out of the archive': lambda file, weights, rng: archive(file, pickled({}), **{'../../canary': b'x'}),
    'TorchScript program': lambda file, weights, rng: torch.jit.script(torch.nn.Linear(1, 1)).save(str(file)),
    'zip of something else': lambda file, weights, rng: zipfile.ZipFile(file, 'w').close() or file.write_bytes(
        b'PK\x03\x04' + file.read_bytes()),
    'two archives in one': lambda file, weights, rng: (
        archive(file, pickled(command(file))), file.write_bytes(file.read_bytes() + whole(weights))),
    'old format, code': lambda file, weights, rng: saved(
        file, weights, command(file), _use_new_zipfile_serialization=False),
    'old format, size': lambda file, weights, rng: file.write_bytes(b''.join([
        *map(pickled, (0x1950a86a20f9469cfc6c, 1001, {})),
        pickled({'x': Made(TENSOR, OldLying(2 ** 40), 0, (16,), (1,), False, OrderedDict())}), pickled(['0'])])),
    'old format, storage left out': lambda file, weights, rng: file.write_bytes(b''.join([
        *map(pickled, (0x1950a86a20f9469cfc6c, 1001, {})),
        pickled({'x': Made(TENSOR, OldLying(16), 0, (16,), (1,), False, OrderedDict())}), pickled([])]) + bytes(64)),
    'oldest format, tar': lambda file, weights, rng: tarfile.open(file, 'w').close(),
    'plain pickle': lambda file, weights, rng: file.write_bytes(pickle.dumps(command(file))),
    'truncated': lambda file, weights, rng: file.write_bytes(
        (data := whole(weights))[:rng.randrange(len(data) - 1)]),
    'old format, truncated': lambda file, weights, rng: file.write_bytes(
        (data := whole(weights, _use_new_zipfile_serialization=False))[:rng.randrange(len(data) - 1)]),
    'random bytes': lambda file, weights, rng: file.write_bytes(rng.randbytes(rng.randrange(1, 4096))),
    'random pickle': lambda file, weights, rng: archive(file, b'\x80\x02' + rng.randbytes(rng.randrange(1, 4096))),
    'empty': lambda file, weights, rng: file.touch(),
    'page of HTML': lambda file, weights, rng: file.write_text('<!DOCTYPE html><title>Sign in</title>'),
    'JSON': lambda file, weights, rng: file.write_text('{"state_dict": {}}'),
    'array file of objects': lambda file, weights, rng: file.write_bytes(b'\x93NUMPY' + pickle.dumps(0)),
    'folder': lambda file, weights, rng: file.mkdir(),
    'pipe': lambda file, weights, rng: os.mkfifo(file),
    'link to itself': lambda file, weights, rng: file.symlink_to(file.name),
    'endless device': lambda file, weights, rng: file.symlink_to('/dev/zero'),
    'a list': lambda file, weights, rng: torch.save([1, 2], file),
    'weights that are no tensors': lambda file, weights, rng: torch.save(changed(weights, lambda value: 'text'), file),
    'weights that are complex': lambda file, weights, rng: torch.save(
        changed(weights, lambda value: value.to(torch.complex64)), file),
    'weights that are no numbers': lambda file, weights, rng: torch.save(
        changed(weights, lambda value: value * float('nan')), file),
    'weights that are infinite': lambda file, weights, rng: torch.save(
        changed(weights, lambda value: value + float('inf')), file),
    'meta that is a list': lambda file, weights, rng: torch.save(dict(state_dict=weights, meta=[1]), file)}
_SAFETENSORS: dict[str, Callable[[Path, StateDict, Random], None]] = {
    'header of 2^62 bytes': lambda file, weights, rng: safe(file, {}, length=2 ** 62),
    'header beyond the file': lambda file, weights, rng: safe(file, {'x': entry()}, b'', length=rng.randrange(100, 10 ** 8)),
    'header that is no JSON': lambda file, weights, rng: safe(file, rng.randbytes(100)),
    'header of nested JSON': lambda file, weights, rng: safe(file, b'{"x":' + b'[' * 100_000 + b']' * 100_000 + b'}'),
    'overlapping tensors': lambda file, weights, rng: safe(file, {'x': entry(), 'y': entry()}),
    'tensor beyond the file': lambda file, weights, rng: safe(file, {'x': entry(0, 2 ** 40, (2 ** 38,))}),
    'tensor of another size': lambda file, weights, rng: safe(file, {'x': entry(shape=(rng.randrange(17, 999),))}),
    'tensor of 2^62 rows': lambda file, weights, rng: safe(file, {'x': entry(shape=(2 ** 62, 2 ** 62))}),
    'negative offset': lambda file, weights, rng: safe(file, {'x': entry(begin=-64)}),
    'unknown type': lambda file, weights, rng: safe(file, {'x': entry(dtype='O')}),
    'key twice': lambda file, weights, rng: safe(
        file, b'{"x":' + json.dumps(entry()).encode() + b',"x":' + json.dumps(entry(64, 128)).encode() + b'}', bytes(128)),
    'gap between tensors': lambda file, weights, rng: safe(file, {'x': entry(64, 128)}, bytes(128)),
    'key that steers a terminal': lambda file, weights, rng: safe(file, {'\x1b]0;owned\x07': entry()}),
    'meta that is no JSON': lambda file, weights, rng: safe(file, {'__metadata__': {'meta': '{'}, 'x': entry()}),
    'nothing': lambda file, weights, rng: file.touch(),
    'pickle under this name': lambda file, weights, rng: saved(file, weights, command(file))}


KINDS = ([f'call of {name}' for name in _CALLS] + list(_VALUES) + list(_FILES)
         + [f'safetensors: {name}' for name in _SAFETENSORS])


def write(kind: str, folder: Path, weights: StateDict, rng: Random) -> Path:
    """Write a hostile file of one of `KINDS`; if what is hostile in it runs, a file ``canary`` comes to be beside it.

    Args:
        kind: Which.
        folder: Where to.
        weights: Those of the model that it will be offered to.
        rng: For what may be one way or another.

    Returns:
        Its path, which need not be that of a file.
    """
    prefix, _, name = kind.rpartition(': ')
    file = folder / f'{"".join(c if c.isalnum() else "_" for c in kind)}{".safetensors" if prefix else ".pth"}'
    if kind.startswith('call of '):
        saved(file, weights, _CALLS[kind.removeprefix('call of ')](touch(file)), pickle_module=TorchPickle)
    elif kind in _VALUES:
        saved(file, weights, _VALUES[kind](), pickle_module=TorchPickle)
    else:
        (_SAFETENSORS if prefix else _FILES)[name](file, weights, rng)
    return file
