"""Stacks: which Python and which packages the tests are run with, and running them in an environment of their own.

This needs nothing but Python's standard library, since it makes the environments that hold the rest.
"""
import json
import os
import shutil
import subprocess
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Stack:
    """A Python, and what pip is asked to install for it.

    Args:
        name: The name, also of the environment's folder.
        python: Version of Python as ``'3.11'``; found as ``python3.11`` on the PATH.
        requirements: Arguments of ``pip install``, which runs in the repository's folder.
        what: The stack in a few words.
    """
    name: str
    python: str
    requirements: tuple[str, ...]
    what: str


_RELEASED = ('-e', '.[openmmlab,test]')
_FORKS = ('-e', '.[onedl,test]')
_TORCH_2_6 = ('torch==2.6.*', 'torchvision==0.21.*')

STACKS = (
    Stack('python3.10', '3.10', _RELEASED, 'newest versions'),
    Stack('python3.11', '3.11', _RELEASED, 'newest versions'),
    Stack('python3.12', '3.12', _RELEASED, 'newest versions'),
    Stack('torch2.6', '3.11', (*_RELEASED, *_TORCH_2_6), 'oldest torch'),
    Stack('numpy1', '3.10', (*_RELEASED, *_TORCH_2_6, 'numpy<2'), 'oldest Python and torch, numpy 1'),
    Stack('onedl', '3.11', _FORKS, 'the maintained forks'))


class NotInstalled(RuntimeError):
    """An environment cannot be made; the message says why, in a line."""


def prepare(stack: Stack, root: Path, folder: Path) -> Path:
    """Make the environment of a stack, or keep the one that is there and was made from the same requirements.

    Args:
        stack: The stack.
        root: The repository's folder.
        folder: Where environments and logs are.

    Returns:
        The environment's Python.

    Raises:
        NotInstalled: There is no such Python, or pip cannot install something.
    """
    environment = folder / stack.name
    python, ready = environment / 'bin' / 'python', environment / '.ready'
    wanted = '\n'.join([stack.python, *stack.requirements,
                        *(path.read_text(encoding='utf-8') for path in [root / 'setup.cfg'] if path.exists())])
    if ready.exists() and ready.read_text(encoding='utf-8') == wanted:
        return python
    shutil.rmtree(environment, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f'{stack.name}.install.log'
    env = dict(_environ(), PYENV_VERSION=stack.python)  # by which pyenv's `python3.11` is that one
    try:
        subprocess.run([f'python{stack.python}', '-m', 'venv', environment], check=True, env=env, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        raise NotInstalled(f'python{stack.python} is not on the PATH, or cannot make an environment') from None
    with log.open('w', encoding='utf-8') as file:
        done = subprocess.run([python, '-m', 'pip', 'install', '--progress-bar', 'off', *stack.requirements],
                              cwd=root, env=env, stdout=file, stderr=subprocess.STDOUT)
    if done.returncode:
        raise NotInstalled(_pips_reason(log.read_text(encoding='utf-8')))
    ready.write_text(wanted, encoding='utf-8')
    return python


def _environ() -> dict[str, str]:
    """This process's variables, but none by which a Python would import from elsewhere."""
    return {key: value for key, value in os.environ.items() if key not in ('PYTHONPATH', 'PYTHONHOME', 'VIRTUAL_ENV')}


def _pips_reason(log: str) -> str:
    reasons = [line.removeprefix('ERROR: ') for line in log.splitlines() if line.startswith(('ERROR: ', 'error: '))]
    return reasons[-1] if reasons else 'pip failed: see the log'


def run_tests(stack: Stack, python: Path, root: Path, folder: Path, args: list[str]) -> dict:
    """Run the tests in an environment; all output goes to ``NAME.tests.log``.

    Args:
        args: Arguments of pytest.

    Returns:
        ``passed``, ``failed`` and ``skipped`` (numbers of tests), ``failures`` (their names), ``minutes``, and ``reason``
        if pytest did not reach its end.
    """
    report = folder / f'{stack.name}.tests.xml'
    report.unlink(missing_ok=True)
    # two stacks at once would read each other's half-written files
    env = _environ() | dict(TORCHINDUCTOR_CACHE_DIR=str((folder / f'{stack.name}.inductor').resolve()))
    start = time.monotonic()
    with (folder / f'{stack.name}.tests.log').open('w', encoding='utf-8') as log:
        done = subprocess.run([python, '-m', 'pytest', f'--junitxml={report.resolve()}', *args], cwd=root, env=env,
                              stdout=log, stderr=subprocess.STDOUT)
    minutes = round((time.monotonic() - start) / 60, 1)
    found = dict(_counts(report), minutes=minutes)
    # 0 and 1: all tests were run
    return found if done.returncode in (0, 1) else found | dict(reason=f'pytest ended with exit code {done.returncode}')


def _counts(report: Path) -> dict:
    cases = list(ET.parse(report).iter('testcase')) if report.exists() else []
    failures = [case for case in cases if case.find('failure') is not None or case.find('error') is not None]
    skipped = sum(case.find('skipped') is not None for case in cases)
    names = dict.fromkeys(f'{case.get("classname", "")}::{case.get("name")}' for case in failures)
    return dict(passed=len(cases) - len(failures) - skipped, failed=len(names), skipped=skipped, failures=list(names))


def packages(python: Path) -> dict[str, str]:
    """Name -> version of all that is installed in an environment."""
    done = subprocess.run([python, '-m', 'pip', 'list', '--format', 'json', '--disable-pip-version-check'], check=True,
                          env=_environ(), capture_output=True, text=True)
    return {entry['name']: entry['version'] for entry in json.loads(done.stdout)}
