"""What is written must be readable: found out by reading it, in memory and without the tensors' data."""
import io

import torch
from mmengine.utils import apply_to
from torch import Tensor

from .untrusted import load_stream


def is_readable(value) -> bool:
    """Whether a value, written with ``torch.save``, can be read safely again; tensors count by their type alone."""
    file, empty = io.BytesIO(), {}

    def one_of_its_type(tensor: Tensor) -> Tensor:
        kind = type(tensor), tensor.dtype, tensor.layout, tensor.is_quantized
        return empty.setdefault(kind, tensor.new_empty(0))
    try:
        torch.save(apply_to(value, lambda part: isinstance(part, Tensor), one_of_its_type), file)
        load_stream(file, file.tell())
    except Exception:  # pickle and torch raise what they like
        return False
    return True


def unreadable(value, name: str) -> list[str]:
    """What in a value cannot be read again: ``a.b.c (type)`` of each such part, as deep inside as it can be told."""
    if is_readable(value):
        return []
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, (list, tuple, set)) else ()
    found = []
    for key, part in parts:
        if is_readable({key: None}):
            found += unreadable(part, f'{name}.{key}')
        else:
            found.append(f'{name}: the key {key!r} ({type(key).__name__})')
    return found or [f'{name} ({type(value).__name__})']


def without_unreadable(tree: dict) -> dict:
    """A dictionary without those entries, of itself or of dictionaries in it, that cannot be read again."""
    if is_readable(tree):
        return tree
    kept = {key: without_unreadable(value) if isinstance(value, dict) else value
            for key, value in tree.items() if is_readable({key: None})}
    return {key: value for key, value in kept.items() if is_readable(value)}
