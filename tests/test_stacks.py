"""Stacks: environments are made, kept and replaced; what pytest says is counted; the support table is not stale."""
import configparser
import dataclasses
import sys
import zipfile

import pytest
from conftest import ROOT

from mvit3_bench.analysis import support
from mvit3_bench.analysis.stacks import STACKS, NotInstalled, Stack, packages, prepare, run_tests

HERE = f'{sys.version_info[0]}.{sys.version_info[1]}'
TESTS = '''
import pytest, sys
def test_passes(): pass
@pytest.mark.parametrize('number', [1, 2])
def test_fails(number): assert number == 1
def test_skipped(): pytest.skip('for this')
@pytest.fixture
def broken(): raise RuntimeError
def test_error(broken): pass
'''


@pytest.fixture
def wheel(tmp_path):
    """Write a wheel of a package called tiny, of a version."""
    def call(version: str):
        file = tmp_path / f'tiny-{version}-py3-none-any.whl'
        with zipfile.ZipFile(file, 'w') as archive:
            for name, text in dict(METADATA=f'Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n', RECORD='',
                                   WHEEL='Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n').items():
                archive.writestr(f'tiny-{version}.dist-info/{name}', text)
            archive.writestr('tiny.py', '')
        return str(file)
    return call


def test_environment_is_kept_until_requirements_change(wheel, tmp_path, monkeypatch):
    """The same requirements find the same environment; others replace it, with nothing left of the old one."""
    monkeypatch.setenv('PIP_NO_INDEX', '1')
    stack = Stack('one', HERE, (wheel('1.0'), ), '')
    folder = tmp_path / 'stacks'
    python = prepare(stack, tmp_path, folder)
    assert packages(python)['tiny'] == '1.0'
    (folder / 'one' / 'mine').touch()
    assert prepare(stack, tmp_path, folder) == python and (folder / 'one' / 'mine').exists()
    prepare(dataclasses.replace(stack, requirements=(wheel('2.0'), )), tmp_path, folder)
    assert packages(python)['tiny'] == '2.0' and not (folder / 'one' / 'mine').exists()


def test_pips_reason(tmp_path, monkeypatch):
    """What cannot be installed is named, and the environment is not taken for a ready one."""
    monkeypatch.setenv('PIP_NO_INDEX', '1')
    with pytest.raises(NotInstalled, match='No matching distribution found for tiny==3.0'):
        prepare(Stack('one', HERE, ('tiny==3.0', ), ''), tmp_path, tmp_path / 'stacks')
    assert not (tmp_path / 'stacks' / 'one' / '.ready').exists()


def test_no_such_python(tmp_path):
    """A Python that is not there is named."""
    with pytest.raises(NotInstalled, match='python3.1 is not on the PATH'):
        prepare(Stack('one', '3.1', (), ''), tmp_path, tmp_path / 'stacks')


def test_counts(tmp_path):
    """Numbers and names of pytest's own run; an error counts as a failure."""
    (tmp_path / 'test_it.py').write_text(TESTS)
    stack = Stack('one', HERE, (), '')
    result = run_tests(stack, sys.executable, tmp_path, tmp_path, ['-p', 'no:cacheprovider'])
    assert {key: result[key] for key in ('passed', 'failed', 'skipped', 'failures')} == dict(
        passed=2, failed=2, skipped=1, failures=['test_it::test_fails[2]', 'test_it::test_error'])
    assert 'reason' not in result and not support.passed(result)
    assert support.outcome(result) == '**failed**: 2 passed, 2 failed, 1 skipped'
    assert '2 passed' in (tmp_path / 'one.tests.log').read_text()
    result = run_tests(stack, sys.executable, tmp_path, tmp_path, ['-k', 'passes'])
    assert support.passed(result) and support.outcome(result) == '1 passed, 0 failed, 0 skipped'


@pytest.mark.parametrize('text, code', [('import os\ndef test(): os._exit(9)', 9), ('raise RuntimeError', 2), ('', 5)],
                         ids=['crash', 'collection', 'no tests'])
def test_pytest_does_not_reach_its_end(tmp_path, text, code):
    """A crash, a file that cannot be imported and a run of no tests are no success, whatever an earlier report says."""
    (tmp_path / 'test_it.py').write_text(text)
    (tmp_path / 'one.tests.xml').write_text('<testsuite><testcase name="old"/></testsuite>')
    result = run_tests(Stack('one', HERE, (), ''), sys.executable, tmp_path, tmp_path, [])
    assert result['reason'] == f'pytest ended with exit code {code}' and not support.passed(result)
    assert support.outcome(result).startswith('**failed**: 0 passed')


def test_results_are_replaced_one_by_one(tmp_path):
    """A stack's new result takes the place of its old one, in the order of the stacks; others stay."""
    first, second = STACKS[0].name, STACKS[1].name
    for name, number in ((second, 1), (first, 2), (second, 3), ('gone', 4)):
        support.write(tmp_path / 'results.json', dict(name=name, passed=number))
    assert [(each['name'], each['passed']) for each in support.read(tmp_path / 'results.json').values()] == [
        (first, 2), (second, 3)]


def test_stacks_are_what_setup_cfg_promises():
    """Every Python of the classifiers has its stack, and the oldest torch is the bound."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / 'setup.cfg')
    classifiers = setup['metadata']['classifiers'].split('\n')
    promised = {line.rpartition(' :: ')[2] for line in classifiers if ':: Python :: 3.' in line}
    assert {stack.python for stack in STACKS} == promised
    bounds = dict(line.split('>=') for line in setup['options']['install_requires'].split('\n') if '>=' in line)
    oldest = next(stack for stack in STACKS if stack.name == 'torch2.6')
    assert {f'{name}=={bounds[name]}.*' for name in ('torch', 'torchvision')} <= set(oldest.requirements)


def test_table_is_not_stale():
    """The page shows what was recorded, and which stacks were not run."""
    results = support.read(ROOT / support.RECORD).values()
    page = (ROOT / support.PAGE).read_text(encoding='utf-8')
    assert page == support.render(page, results), f'{support.PAGE} is stale: python tools/test_stacks.py --record'
    for result in results:
        assert support.outcome(result) in page
