"""Pickle scan: what loading a checkpoint would do, found out without loading it.

torch's ``weights_only=True`` keeps a file from running code. It still allocates what the file asks for, builds tensors that
are no weights (meta, sparse, uninitialised), and follows nesting until the interpreter crashes. So this module
interprets the pickle first: it knows the same opcodes, calls nothing and keeps a note in the place of every object.
"""
import pickletools
from collections.abc import Callable
from typing import BinaryIO

import torch

from ..errors import UnsafePickleError

MOST_OPERATIONS = 3_000_000  # a checkpoint of 2000 tensors with optimiser and averages has a tenth
DEEPEST = 32  # those of MMEngine are 8 deep
MOST_OBJECTS = 10_000_000  # where one that is held in two places counts twice

_SIZES = dict(Double=8, Float=4, Half=2, BFloat16=2, Long=8, Int=4, Short=2, Char=1, Byte=1, Bool=1, ComplexFloat=8,
              ComplexDouble=16)
_STORAGES = {f'torch.{name}Storage': size for name, size in _SIZES.items()}
_DTYPES = {str(value) for value in vars(torch).values() if isinstance(value, torch.dtype)}
_HISTORY = 'mmengine.logging.history_buffer.HistoryBuffer'
_FILLED = ('numpy.dtype', 'numpy.core.multiarray._reconstruct', 'numpy._core.multiarray._reconstruct', _HISTORY)
_TENSORS = ('torch._utils._rebuild_tensor', 'torch._utils._rebuild_tensor_v2', 'torch._utils._rebuild_parameter')
_CONSTANTS = dict(NONE=None, NEWTRUE=True, NEWFALSE=False)
_VALUES = ('BININT', 'BININT1', 'BININT2', 'LONG1', 'BINFLOAT', 'BINUNICODE', 'SHORT_BINSTRING')
_EMPTY = dict(EMPTY_DICT='dict', EMPTY_LIST='list', EMPTY_TUPLE='tuple', EMPTY_SET='set')
_TUPLES = dict(TUPLE1=1, TUPLE2=2, TUPLE3=3)


class Note:
    """Stands for an object: its type or the function that makes it, and its arguments or contents."""
    __slots__ = ('kind', 'items')

    def __init__(self, kind: str, items: list):
        self.kind, self.items = kind, items


class Name(str):
    """A class or function that the file names."""


class PickleScan:
    """Follow one pickle from the file's position to its end.

    Args:
        file: Where it is.
        storage_size: Bytes that the file has for the storage of this key; None: told after the pickle (the old format).

    Attributes:
        result: Note of the whole.
        storages: Key -> bytes that the pickle declares.

    Raises:
        UnsafePickleError: Loading would call what is not on the list, read beyond the data, take memory or nest out of
            proportion, or make what is neither a dense tensor nor a plain value.
        ValueError, LookupError, TypeError: It is no pickle, or breaks off.
    """

    def __init__(self, file: BinaryIO, storage_size: Callable[[str], int] | None = None):
        self.storages: dict[str, int] = {}
        self.viewed = 0  # bytes of all tensors, each view counted
        self._storage_size = storage_size
        # what the user has told torch to trust is not ours to judge
        self._trusted = {entry[1] if isinstance(entry, tuple) else f'{entry.__module__}.{entry.__qualname__}'
                         for entry in torch.serialization.get_safe_globals()} - set(_CALLS) - {'numpy.ndarray'}
        self.result = self._run(file)
        _check_nesting(self.result)

    def _run(self, file: BinaryIO):
        stack, outer, memo = [], [], {}
        for count, (opcode, value, _) in enumerate(pickletools.genops(file)):
            name = opcode.name
            if count == MOST_OPERATIONS:
                raise UnsafePickleError(f'more than {MOST_OPERATIONS} objects')
            if name in _VALUES:
                stack.append(value)
            elif name in _CONSTANTS:
                stack.append(_CONSTANTS[name])
            elif name in _EMPTY:
                stack.append(Note(_EMPTY[name], []))
            elif name in _TUPLES:
                stack[-_TUPLES[name]:] = [Note('tuple', _last(stack, _TUPLES[name]))]
            elif name in ('BINPUT', 'LONG_BINPUT'):
                memo[value] = stack[-1]
            elif name in ('BINGET', 'LONG_BINGET'):
                stack.append(memo[value])
            elif name == 'MARK':
                outer.append(stack)
                stack = []
            elif name in ('TUPLE', 'APPENDS', 'SETITEMS'):
                items, stack = stack, outer.pop()
                if name == 'TUPLE':
                    stack.append(Note('tuple', items))
                else:
                    self._fill(stack[-1], items, pairs=name == 'SETITEMS')
            elif name in ('APPEND', 'SETITEM'):
                items = [stack.pop() for _ in range(1 + (name == 'SETITEM'))][::-1]
                self._fill(stack[-1], items, pairs=name == 'SETITEM')
            elif name == 'GLOBAL':
                stack.append(self._named(value))
            elif name == 'BINPERSID':
                stack.append(self._storage(stack.pop()))
            elif name in ('REDUCE', 'NEWOBJ'):
                arguments, function = stack.pop(), stack.pop()
                stack.append(self._call(function, arguments, name))
            elif name == 'BUILD':
                state = stack.pop()
                self._set_state(stack[-1], state)
            elif name == 'STOP':
                return stack.pop()
            elif name != 'PROTO':
                raise UnsafePickleError(f'the pickle operation {name}')

    def _named(self, value: str) -> Name:
        name = value.replace(' ', '.', 1).replace('__builtin__.', 'builtins.', 1)
        if name not in _CALLS and name not in _STORAGES and name not in _DTYPES and name not in self._trusted and (
                name != 'numpy.ndarray'):
            raise UnsafePickleError(f'{name!r:.200}, which is not on the list of what a checkpoint may hold')
        return Name(name)

    def _storage(self, identity) -> Note:
        items = _items(identity, 'tuple')
        kind, storage_type, key, location, numel, *view = items
        if (kind != 'storage' or type(key) is not str or type(location) is not str or not _is_size(numel)
                or view not in ([], [None])):
            raise UnsafePickleError('a storage of unknown form')
        if storage_type not in _STORAGES:
            raise UnsafePickleError(f'a storage of type {storage_type!r:.200}: quantised, or no numbers')
        size = numel * _STORAGES[storage_type]
        if self._storage_size and size > self._storage_size(key):
            raise UnsafePickleError(f'a storage of {size} bytes, for which the file has {self._storage_size(key)}')
        if self.storages.setdefault(key, size) != size:
            raise UnsafePickleError('a storage of two sizes')
        return Note('storage', [numel, _STORAGES[storage_type]])

    def _call(self, function, arguments, operation: str) -> Note:
        items = _items(arguments, 'tuple')
        if type(function) is not Name or function in _STORAGES or function in _DTYPES or function == 'numpy.ndarray':
            raise UnsafePickleError('a call of something that is no function')
        if function not in self._trusted:
            if (operation == 'NEWOBJ') != (function == _HISTORY):
                raise UnsafePickleError(f'{function!r} in an unknown form')
            if not _CALLS[function](self, items):
                raise UnsafePickleError(f'{function!r} with arguments that no checkpoint has')
        return Note(str(function), list(items))

    def _fill(self, target, items: list, pairs: bool) -> None:
        kinds = ('dict', 'collections.OrderedDict', 'collections.Counter') if pairs else ('list',)
        if not isinstance(target, Note) or target.kind not in kinds:
            raise UnsafePickleError(f'{"entries" if pairs else "elements"} for something else than {" or ".join(kinds)}')
        if pairs:
            for key, value in zip(items[::2], items[1::2], strict=True):
                _check_key(key, value)
        target.items += items

    def _set_state(self, target, state) -> None:
        if isinstance(target, Note) and target.kind == 'collections.OrderedDict':
            if set(_items(state, 'dict')[::2]) - {'_metadata'}:  # others would stand before the methods of the dictionary
                raise UnsafePickleError('a dictionary with attributes')
        elif not isinstance(target, Note) or target.kind not in (*_FILLED, *self._trusted):
            raise UnsafePickleError('a state for an object that has none')
        target.items.append(state)

    def _tensor(self, items: list) -> bool:
        storage, offset, size, stride, *rest = items
        numel, itemsize = _items(storage, 'storage')
        size, stride = _items(size, 'tuple'), _items(stride, 'tuple')
        if not all(map(_is_size, [offset, *size, *stride])) or len(size) != len(stride):
            raise UnsafePickleError('a tensor of impossible shape')
        if all(size) and offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True)) >= numel:
            raise UnsafePickleError('a tensor that reads beyond its data')
        count = 1
        for length in size:
            count *= length
        self.viewed += count * itemsize
        # what else a tensor may have: hooks, and flags as of a conjugate view
        return not rest or len(rest) in (2, 3) and type(rest[0]) is bool and _is_empty(rest[1]) and rest[2:] in ([], [None])

    def _parameter(self, items: list) -> bool:
        data, requires_grad, hooks = items
        return isinstance(data, Note) and data.kind in _TENSORS[:2] and type(requires_grad) is bool and _is_empty(hooks)

    def _ordered_dict(self, items: list) -> bool:
        for pair in _items(items[0], 'list') if items else ():  # Python 2 wrote lists of two
            _check_key(*_items(pair, 'list'))
        return len(items) <= 1

    def _set(self, items: list) -> bool:
        for element in _items(items[0], 'list') if items else ():
            _check_key(element)
        return len(items) <= 1


_CALLS: dict[str, Callable[[PickleScan, list], bool]] = {
    'torch._utils._rebuild_tensor': lambda scan, items: len(items) == 4 and scan._tensor(items),
    'torch._utils._rebuild_tensor_v2': PickleScan._tensor,
    'torch._utils._rebuild_parameter': PickleScan._parameter,
    'torch.Size': lambda scan, items: len(items) == 1 and all(map(_is_size, _items(items[0], 'tuple'))),
    'torch.device': lambda scan, items: {type(item) for item in items} <= {str, int},
    'collections.OrderedDict': PickleScan._ordered_dict,
    'collections.Counter': lambda scan, items: _at_most_one(items, 'dict'),
    'builtins.set': PickleScan._set,
    'builtins.complex': lambda scan, items: {type(item) for item in items} <= {float},
    # Python 2's form of bytes; other encodings than this one can take time out of all proportion
    '_codecs.encode': lambda scan, items: type(items[0]) is str and items[1:] in (['latin1'], ['latin-1']),
    'builtins.bytes': lambda scan, items: not items,  # a number would be that many bytes
    # compat.resume_types has stand-ins for these, which check their arguments
    'builtins.getattr': lambda scan, items: len(items) == 2,
    'numpy.dtype': lambda scan, items: True,
    'numpy.core.multiarray._reconstruct': lambda scan, items: True,
    'numpy._core.multiarray._reconstruct': lambda scan, items: True,
    'numpy.core.multiarray.scalar': lambda scan, items: True,
    'numpy._core.multiarray.scalar': lambda scan, items: True,
    _HISTORY: lambda scan, items: not items,
    'mmengine.config.config.ConfigDict': lambda scan, items: _at_most_one(items, 'dict'),
}


def _last(stack: list, count: int) -> list:
    if len(stack) < count:
        raise LookupError('it breaks off')
    return stack[-count:]


def _items(note, kind: str) -> list:
    if not isinstance(note, Note) or note.kind != kind:
        raise UnsafePickleError(f'something else where a {kind} belongs')
    return note.items


def _at_most_one(items: list, kind: str) -> bool:
    return len(items) <= 1 and all(isinstance(item, Note) and item.kind == kind for item in items)


def _is_size(value) -> bool:
    return type(value) is int and 0 <= value < 2 ** 63


def _is_empty(hooks) -> bool:
    return isinstance(hooks, Note) and hooks.kind == 'collections.OrderedDict' and not hooks.items


def _check_key(key, value=None) -> None:
    """Keys are hashed and shown: no nested tuples, no numbers chosen to collide, nothing that steers a terminal."""
    parts = key.items if isinstance(key, Note) and key.kind == 'tuple' else [key]
    for part in parts:
        if type(part) not in (str, int, bool, type(None)) or type(part) is int and abs(part) >= 2 ** 32:
            raise UnsafePickleError('a key that is neither text nor a small number')
        if type(part) is str and not part.isprintable():
            raise UnsafePickleError(f'a key with control characters: {part!r:.200}')
    if isinstance(value, Note) and value.kind in _TENSORS and type(key) is not str:
        raise UnsafePickleError(f'a tensor under the key {key!r:.200}, which is no text')


def _check_nesting(root) -> None:
    """Depth and number of objects, without recursion."""
    measured = {}  # of a note: (depth, objects in all)
    path, todo = set(), [root]
    while todo:
        note = todo[-1]
        if not isinstance(note, Note) or id(note) in measured:
            todo.pop()
            continue
        children = [item for item in note.items if isinstance(item, Note)]
        if id(note) not in path:
            path.add(id(note))
            todo += [child for child in children if id(child) not in measured]
            if any(id(child) in path for child in children):
                raise UnsafePickleError('an object that holds itself')
            continue
        depths, counts = zip((0, len(note.items)), *(measured[id(child)] for child in children), strict=True)
        measured[id(note)] = depth, count = 1 + max(depths), 1 + sum(counts)
        if max(depth, len(path)) > DEEPEST:
            raise UnsafePickleError(f'objects nested more than {DEEPEST} deep')
        if count > MOST_OBJECTS:
            raise UnsafePickleError(f'more than {MOST_OBJECTS} objects')
        path.discard(id(note))
        todo.pop()
