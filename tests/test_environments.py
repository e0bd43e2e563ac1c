"""The environments of noxfile.py, and the support table that is written from what they found."""
import ast
import configparser
import json
import subprocess
import sys

import pytest
from conftest import ROOT

sys.path.append(str(ROOT / 'docs'))
import support_table as support  # noqa: E402

from mvit3_bench.utils.text import put  # noqa: E402

TESTS = '''
import pytest
def test_passes(): pass
@pytest.mark.parametrize('number', [1, 2])
def test_fails(number): assert number == 1
def test_skipped(): pytest.skip('for this')
@pytest.fixture
def broken(): raise RuntimeError
def test_error(broken): pass
'''
FOUND = dict(what='words', python='3.11.7', packages={'torch': '2.6.0', 'onedl-mmdetection': '3.5.1'}, cores=2, tests='-x',
             minutes=1.5, commit='abc')


def environments() -> dict:
    """``ENVIRONMENTS`` of noxfile.py, read without nox."""
    body = ast.parse((ROOT / 'noxfile.py').read_text(encoding='utf-8')).body
    return next(ast.literal_eval(node.value) for node in body
                if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', '') == 'ENVIRONMENTS')


def test_counts(tmp_path):
    """Numbers and names of pytest's own report; an error counts as a failure."""
    (tmp_path / 'test_it.py').write_text(TESTS)
    subprocess.run([sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', '--junitxml=it.xml'], cwd=tmp_path,
                   capture_output=True)
    assert support.counts(tmp_path / 'it.xml') == dict(
        passed=2, failed=2, skipped=1, failures=['test_it::test_fails[2]', 'test_it::test_error'])


@pytest.mark.parametrize('result, report, expected', [
    ('success', '<testsuite><testcase name="a"/></testsuite>', '1 passed, 0 failed, 0 skipped'),
    ('failed', '<testsuite><testcase name="a"/></testsuite>',
     '**failed**: 1 passed, 0 failed, 0 skipped; pytest did not reach its end'),
    ('failed', '<testsuite><testcase name="a"><error/></testcase></testsuite>', '**failed**: 0 passed, 1 failed, 0 skipped'),
    ('success', None, '**failed**: 0 passed, 0 failed, 0 skipped')])
def test_outcome(tmp_path, result, report, expected):
    """A session that ended early, or without a test, is no success."""
    (tmp_path / 'report.json').write_text(json.dumps(dict(sessions=[
        dict(name='one', result=result, reason=None), dict(name='not installed', result='failed', reason=None),
        dict(name='no Python', result='failed', reason='Python interpreter 3.10 not found')])))
    for name in ('one', 'no Python'):  # the latter of an earlier run
        (tmp_path / f'{name}.json').write_text(json.dumps(FOUND | dict(name=name)))
    if report:
        (tmp_path / 'one.xml').write_text(report)
    found = support.collect(tmp_path)
    assert [each['name'] for each in found] == ['one'] and support.outcome(found[0]) == expected


def test_results_are_replaced_one_by_one():
    """An environment's new result takes the place of its old one; others stay, and the row has all columns."""
    old, new = ([FOUND | dict(name=name, passed=passed, failed=0, skipped=0) for name in names]
                for passed, names in ((1, ('first', 'second')), (2, ('second', 'third'))))
    results = support.merge(old, new)
    assert [(each['name'], each['passed']) for each in results] == [('first', 1), ('second', 2), ('third', 2)]
    row = support.support_table(results).splitlines()[3]
    assert [cell.strip() for cell in row.split('|')[1:-1]] == [
        '`second`: words', '3.11.7', '2.6.0', '-', '-', '-', 'onedl-mmdetection 3.5.1', '-', '-',
        '2 passed, 0 failed, 0 skipped', '`-x`', '1.5', 'abc']


def test_page_has_the_table():
    """support.md shows what stacks.json holds."""
    results = json.loads((ROOT / support.RECORD).read_text(encoding='utf-8'))
    assert support.support_table(results).strip() in (ROOT / support.PAGE).read_text(encoding='utf-8')


def test_environments_are_what_setup_cfg_promises():
    """Every Python of the classifiers has its environment, and the oldest torch is the bound."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / 'setup.cfg')
    classifiers = setup['metadata']['classifiers'].split('\n')
    promised = {line.rpartition(' :: ')[2] for line in classifiers if ':: Python :: 3.' in line}
    assert {python for python, _, _ in environments().values()} == promised
    bounds = dict(line.split('>=') for line in setup['options']['install_requires'].split('\n') if '>=' in line)
    assert {f'{name}=={bounds[name]}.*' for name in ('torch', 'torchvision')} <= set(environments()['torch2.6'][1])


def test_page_without_place():
    with pytest.raises(ValueError, match='end of table'):
        put('<!-- table -->\n', 'table', '')
