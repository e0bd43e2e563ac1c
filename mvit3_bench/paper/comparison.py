"""Published figures beside those of checkpoints that were evaluated here."""
from collections.abc import Sequence

from ..results.evaluation import Evaluation
from ..utils import text
from .published import row_of


def compare(evaluations: Sequence[Evaluation]) -> str:
    """Published against measured, and what failed."""
    rows = []
    for each in filter(lambda each: each.result, evaluations):
        row, images = row_of(each.config), f'{each.result.images}' + ', miniature' * each.result.mini
        measured = each.result.percent(row.metric) if row else None
        figures = (('-', 'nothing published', '-', '-') if measured is None else
                   (row.metric, f'{row.value:.2f}', f'{measured:.2f}', f'{measured - row.value:+.2f}'))
        rows.append((each.name, each.config, *figures, images))
    failed = [each for each in evaluations if each.error]
    columns = ('checkpoint', 'config', 'metric', 'published', 'measured', 'difference', 'images')
    lines = [text.table(rows, columns, 'plain', left=3).rstrip()]
    if failed:
        lines.append(f'not evaluated: {len(failed)} of {len(evaluations)}')
    return '\n'.join([*lines, *(f'  {each.name}: {each.error}' for each in failed)])
