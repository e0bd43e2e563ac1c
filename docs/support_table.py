"""Write what the last `make test-stacks` found into results/stacks.json, and its table into support.md."""
import json
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path

from mvit3_bench.utils.text import put, table

ROOT = Path(__file__).resolve().parents[1]
RECORD, PAGE, FOUND = Path('docs', 'results', 'stacks.json'), Path('docs', 'support.md'), Path('.nox')
_PACKAGES = ('torch', 'numpy', 'mmengine', 'mmcv', 'mmdet', 'mmsegmentation', 'mmpretrain')


def counts(report: Path) -> dict:
    """Numbers of tests, and names of those that failed, in a report of pytest; an error counts as a failure."""
    cases = list(ET.parse(report).iter('testcase')) if report.exists() else []
    failed = [case for case in cases if case.find('failure') is not None or case.find('error') is not None]
    skipped = sum(case.find('skipped') is not None for case in cases)
    names = list(dict.fromkeys(f'{case.get("classname", "")}::{case.get("name")}' for case in failed))
    return dict(passed=len(cases) - len(failed) - skipped, failed=len(names), skipped=skipped, failures=names)


def collect(folder: Path) -> list[dict]:
    """The results of nox's last run, from its report and from what each environment kept."""
    results = []
    for session in json.loads((folder / 'report.json').read_text(encoding='utf-8'))['sessions']:
        name = session['name']
        record = folder / f'{name}.json'
        if session['reason'] or not record.exists():  # nox gives a reason where a session did not begin
            print(f'{name}: {session["result"]}, no row: {session["reason"] or "see the output of nox"}')
            continue
        result = json.loads(record.read_text(encoding='utf-8')) | counts(folder / f'{name}.xml')
        if session['result'] != 'success' and not result['failed']:
            result['reason'] = 'pytest did not reach its end'
        results.append(result)
    return results


def merge(old: list[dict], new: list[dict]) -> list[dict]:
    """Results in which new ones take the place of older ones of the same environment."""
    return list(({result['name']: result for result in old} | {result['name']: result for result in new}).values())


def outcome(result: dict) -> str:
    """The numbers of tests, and whether something failed."""
    numbers = f'{result["passed"]} passed, {result["failed"]} failed, {result["skipped"]} skipped'
    if result['passed'] and not result['failed'] and 'reason' not in result:
        return numbers
    return '; '.join([f'**failed**: {numbers}', *([result['reason']] if 'reason' in result else [])])


def _column(package: str) -> str:
    return package.removeprefix('onedl-').removesuffix('-lite').replace('mmdetection', 'mmdet')


def support_table(results: Iterable[dict]) -> str:
    """The table in Markdown, a row for each environment."""
    rows = []
    for result in results:
        versions = {_column(name): f'{name} {version}' if name.startswith('onedl-') or name.endswith('-lite') else version
                    for name, version in result['packages'].items()}
        rows.append([f'`{result["name"]}`: {result["what"]}', result['python'],
                     *(versions.get(name, '-') for name in _PACKAGES), outcome(result), f'`{result["tests"]}`',
                     result['minutes'], result['commit']])
    return table(rows, ['environment', 'Python', *_PACKAGES, 'outcome', 'arguments of pytest', 'minutes', 'commit'])


def main() -> None:
    if not (ROOT / FOUND / 'report.json').exists():
        sys.exit(f'error: {FOUND}/report.json is missing: run make test-stacks first')
    results = merge(json.loads((ROOT / RECORD).read_text(encoding='utf-8')), collect(ROOT / FOUND))
    (ROOT / RECORD).write_text(json.dumps(results, indent=1) + '\n', encoding='utf-8')
    page = ROOT / PAGE
    page.write_text(put(page.read_text(encoding='utf-8'), 'table of stacks', support_table(results)), encoding='utf-8')


if __name__ == '__main__':
    main()
