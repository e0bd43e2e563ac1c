"""Results of phones and of pages, as the benchmark's tables read them."""
import json
import re
from collections.abc import Sequence
from pathlib import Path

from ...errors import ResultError


def read_results(files: Sequence[str | Path]) -> list[dict]:
    """What was measured, a content of :mod:`mvit3_bench.benchmark.report` for each file.

    Args:
        files: ``results.json`` of a kit, or what a page saves.

    Raises:
        ResultError: A file is not there, or neither of them.
    """
    return [_read(Path(file)) for file in files]


def _read(file: Path) -> dict:
    try:
        content = json.loads(file.read_text(encoding='utf-8'))
        return _of_page(content) if 'backend' in content else {key: content[key] for key in (
            'machine', 'command', 'date', 'published_top1', 'contenders', 'ratios', 'skipped')}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResultError(f'{file} is neither results.json of a kit nor saved by a page: {type(error).__name__}: {error}',
                          file, 'on a page, press Measure before Save as JSON') from error


def _of_page(saved: dict) -> dict:
    """What a page saves, after a measurement."""
    latency = saved['latency_ms']
    figures = dict(
        model=saved['name'], owner='ours', mode=f'web, {saved["backend"]}', dtype='fp32', batch=1, layout='',
        deviation=saved['largest_difference'], median_ms=latency['median'], p90_ms=latency['p90'],
        images_per_s=1e3 / latency['median'], memory_mb=None, calls=latency['runs'], round_medians_ms=[latency['median']])
    platform = re.search(r'\(([^)]*)\)', saved['browser'])
    machine = dict(cpu=f'{platform[1] if platform else "?"}, {saved["device"]}', cores=saved['cores'],
                   threads=saved['threads'], memory_gb='?')
    return dict(machine=machine, command=saved['browser'], date=saved['runtime'], published_top1={}, contenders=[figures],
                ratios=[], skipped=[])
