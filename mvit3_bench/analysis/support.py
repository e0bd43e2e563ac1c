"""The support table: what came of the tests on each stack, as it was recorded."""
import json
from collections.abc import Iterable
from pathlib import Path

from ..text import put
from .stacks import STACKS

RECORD, PAGE = Path('docs', 'results', 'stacks.json'), Path('docs', 'support.md')
_COLUMNS = ('torch', 'numpy', 'mmengine', 'mmcv', 'mmdet', 'mmsegmentation', 'mmpretrain')


def read(file: Path) -> dict[str, dict]:
    """Name of the stack -> its result; empty where nothing was recorded."""
    return {result['name']: result for result in json.loads(file.read_text(encoding='utf-8'))} if file.exists() else {}


def write(file: Path, result: dict) -> None:
    """Put a result in the place of the same stack's earlier one."""
    results = read(file) | {result['name']: result}
    names = [stack.name for stack in STACKS]
    kept = sorted((each for each in results.values() if each['name'] in names), key=lambda each: names.index(each['name']))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(kept, indent=1) + '\n', encoding='utf-8')


def relevant(packages: dict[str, str]) -> dict[str, str]:
    """Those of the installed packages that a table shows: name -> version."""
    return {name: version for name, version in packages.items() if _column(name) in _COLUMNS}


def _column(package: str) -> str:
    return package.removeprefix('onedl-').removesuffix('-lite').replace('mmdetection', 'mmdet')


def outcome(result: dict) -> str:
    """``passed``, ``failed`` or ``not run``, with the numbers of tests or the reason."""
    if 'passed' not in result:
        return f'not run: {result["reason"]}'
    numbers = f'{result["passed"]} passed, {result["failed"]} failed, {result["skipped"]} skipped'
    if passed(result):
        return numbers
    return '; '.join([f'**failed**: {numbers}', *([result['reason']] if 'reason' in result else [])])


def passed(result: dict) -> bool:
    """Whether all tests were run, and none failed."""
    return bool(result.get('passed')) and not result['failed'] and 'reason' not in result


def table(results: Iterable[dict]) -> str:
    """The table in Markdown, a row for each stack; one without a result has not been run."""
    results = {result['name']: result for result in results}
    lines = ['| ' + ' | '.join(['stack', 'Python', *_COLUMNS, 'outcome', 'arguments of pytest', 'minutes', 'commit']) + ' |',
             '|' + '---|' * (len(_COLUMNS) + 6)]
    for stack in STACKS:
        result = results.get(stack.name, dict(python=stack.python, reason='no result is recorded'))
        versions = {_column(name): (f'{name} ' * (name.startswith('onedl-') or name.endswith('-lite'))) + version
                    for name, version in result.get('packages', {}).items()}
        cells = [f'`{stack.name}`: {stack.what}', result['python'], *(versions.get(name, '-') for name in _COLUMNS),
                 outcome(result), f'`{result["tests"]}`' if 'tests' in result else '-',
                 *(str(result.get(key, '-')) for key in ('minutes', 'commit'))]
        lines.append('| ' + ' | '.join(cell.replace('|', '\\|') for cell in cells) + ' |')
    return '\n'.join(lines) + '\n'


def render(page: str, results: Iterable[dict]) -> str:
    """The page with its table made anew.

    Raises:
        ValueError: The page has no place for it.
    """
    return put(page, 'table of stacks', table(results))
