"""Faults are counted as they ended, and the table of them is not stale."""
import pytest
from conftest import ROOT
from faults import Fault, record

from mvit3_bench.text import put

FAULTS = [Fault('CMYK, detection', 'seed 1', 'survived'), Fault('CMYK, detection', 'seed 2', 'lost', 'two labels more'),
          Fault('16 bit, detection', 'seed 3', 'survived')]


def test_summary_and_table():
    found = record.summary(FAULTS, command='a command', seed=0, minutes=1.0, machine='a machine', date='a day')
    assert found['kinds'] == {'CMYK, detection': dict(survived=1, lost=1), '16 bit, detection': dict(survived=1)}
    assert found['lost'] == ['CMYK, detection: seed 2: two labels more']
    assert '| damaged input: detection | 2 | 3 | 2 | 1 |' in record.table(dict(inputs=found))


def test_table_is_not_stale():
    """The table of the page is that of the record, which has every section, and nothing was lost."""
    sections, page = record.read(ROOT / record.RECORD), (ROOT / record.PAGE).read_text(encoding='utf-8')
    assert put(page, 'table of faults', record.table(sections)) == page
    assert list(sections) == list(record.SECTIONS)
    assert not any(found['lost'] for found in sections.values())


def test_page_without_place():
    with pytest.raises(ValueError, match='end of table'):
        put('<!-- table -->\n', 'table', '')
