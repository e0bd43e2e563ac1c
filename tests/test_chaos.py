"""Faults are counted as they ended."""
from conftest import ROOT
from faults import Fault, record

FAULTS = [Fault('CMYK, detection', 'seed 1', 'survived'), Fault('CMYK, detection', 'seed 2', 'lost', 'two labels more'),
          Fault('16 bit, detection', 'seed 3', 'survived')]


def test_summary_and_table():
    found = record.summary(FAULTS, command='a command', seed=0, minutes=1.0, machine='a machine', date='a day')
    assert found['kinds'] == {'CMYK, detection': dict(survived=1, lost=1), '16 bit, detection': dict(survived=1)}
    assert found['lost'] == ['CMYK, detection: seed 2: two labels more']
    cells = [cell.strip() for cell in record.table(dict(inputs=found)).splitlines()[2].split('|')]
    assert cells == ['', 'damaged input: detection', '2', '3', '2', '1', '']


def test_record():
    """The record has every section, and nothing was lost."""
    sections = record.read(ROOT / record.RECORD)
    assert list(sections) == list(record.SECTIONS)
    assert not any(found['lost'] for found in sections.values())
