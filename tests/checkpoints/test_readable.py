"""What a run writes it can read: values of people's own that no checkpoint can hold are found before they are written."""
import collections
import datetime
import decimal
import uuid
from pathlib import Path

import numpy as np
import pytest
import torch

import mvit3_bench.compat  # noqa: F401
from mvit3_bench.checkpoints.io import read_file
from mvit3_bench.checkpoints.readable import is_readable, unreadable, without_unreadable
from mvit3_bench.errors import CheckpointError

ODD = dict(
    path=Path('data'), frozenset=frozenset({1}), datetime=datetime.datetime(2026, 1, 1), date=datetime.date(2026, 1, 1),
    uuid=uuid.UUID(int=1), decimal=decimal.Decimal(1), function=len, type=int, range=range(3), bytearray=bytearray(b'x'),
    defaultdict=collections.defaultdict(int, a=1), deque=collections.deque([1]), objects=np.array([None]),
    datetime64=np.array(['2026-01-01'], 'M8[D]'), record=np.zeros(1, 'i4,i4'), dtype=np.dtype('u2').type,
    uint16_tensor=torch.zeros(1, dtype=torch.uint16), sparse=torch.eye(2).to_sparse(), float_key={0.5: 'a'}, date_key={
        datetime.date(2026, 1, 1): 1}, large_key={2**40: 1}, unprintable_key={'a\nb': 1}, in_a_list=[1, dict(a=Path('x'))])
GOOD = dict(
    text='a', number=1, fraction=0.5, none=None, set={1, 2}, tuple=(1, 'a'), nested=dict(a=[dict(b=(1,))]), bytes=b'x',
    int_key={3: 'a'}, tuple_key={('a', 1): 2}, uint16=np.arange(3, dtype=np.uint16), scalar=np.float64(0.5),
    uint16_scalar=np.uint16(7), texts=np.array(['a', 'bc']), bools=np.array([True]), half=np.zeros(2, np.float16),
    counter=collections.Counter('aab'), ordered=collections.OrderedDict(a=1), tensor=torch.zeros(3),
    device=torch.device('cpu'), long=2**80, complex=1j, empty=np.zeros(0))


def reads(value, path: Path) -> bool:
    """Whether the file of a checkpoint with a value is read."""
    try:
        torch.save(dict(state_dict={}, message_hub=dict(value=value)), path)
        read_file(path)
    except (CheckpointError, AttributeError):
        return False
    return True


@pytest.mark.parametrize('kind', [*ODD, *GOOD])
def test_verdict(tmp_path, kind):
    """It is that of the reader, whom a file would meet; and what is left in the place of an odd value can be read."""
    value = (ODD | GOOD)[kind]
    assert is_readable(value) == reads(value, tmp_path / 'x.pth') == (kind in GOOD)
    rest = without_unreadable(dict(a=dict(value=value, b=1), c=2))
    assert reads(rest, tmp_path / 'y.pth') and rest['a']['b'] == 1 and rest['c'] == 2
    assert bool(unreadable(value, 'hub')) == (kind in ODD)


def test_names():
    """The message names the key and the type, as deep inside as they are."""
    assert unreadable(dict(a=dict(b=[1, Path('x')]), c={0.5: 1}, d=1), 'meta') == [
        'meta.a.b.1 (PosixPath)', 'meta.c: the key 0.5 (float)']
    assert unreadable(dict(a=1), 'meta') == []
