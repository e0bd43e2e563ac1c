"""What came of the faults, as a record in the repository and as the table of a page."""
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from mvit3_bench.utils import text

from . import Fault

RECORD, PAGE = Path('docs', 'results', 'chaos.json'), Path('docs', 'reliability.md')
# section -> what its rows are called: a kind of fault by itself, or what many kinds have in common
SECTIONS = dict(kills=lambda kind: f'training killed: {kind}', hostile=lambda kind: 'hostile checkpoint',
                inputs=lambda kind: f'damaged input: {kind.rpartition(", ")[2]}', ranks=lambda kind: f'rank lost: {kind}')


def summary(faults: Iterable[Fault], **origin) -> dict:
    """What is recorded of a section.

    Args:
        faults: All of it.
        origin: Where they are from: command, seed, machine, minutes, date.
    """
    faults = list(faults)
    kinds = {}
    for fault in faults:
        kinds.setdefault(fault.kind, Counter())[fault.outcome] += 1
    return origin | dict(kinds=kinds, lost=[f'{fault.kind}: {fault.name}: {fault.detail}' for fault in faults
                                            if fault.outcome == 'lost'])


def read(file: Path) -> dict[str, dict]:
    """Section -> its summary; empty where nothing was recorded."""
    return json.loads(file.read_text(encoding='utf-8')) if file.exists() else {}


def write(root: Path, section: str, found: dict) -> None:
    """Put a section's summary in the place of its earlier one, and make the table of the page anew."""
    sections = read(root / RECORD) | {section: found}
    sections = {name: sections[name] for name in SECTIONS if name in sections}
    (root / RECORD).write_text(json.dumps(sections, indent=1) + '\n', encoding='utf-8')
    page = root / PAGE
    page.write_text(text.put(page.read_text(encoding='utf-8'), 'table of faults', table(sections)), encoding='utf-8')


def table(sections: dict[str, dict]) -> str:
    """The table in Markdown, and where its rows are from."""
    lines = []
    for section, found in sections.items():
        rows = {}
        for kind, outcomes in found['kinds'].items():
            rows.setdefault(SECTIONS[section](kind), []).append(Counter(outcomes))
        for name, kinds in sorted(rows.items()):
            total = sum(kinds, Counter())
            lines.append((name, len(kinds), total.total(), total['survived'], total['lost']))
    origins = [f'- `{found["command"]}`: {found["minutes"]} minutes, seed {found["seed"]}, {found["date"]}, '
               f'{found["machine"]}' for found in sections.values()]
    columns = ('fault', 'kinds', 'times', 'survived', 'lost')
    return '\n'.join([text.table(lines, columns, left=1), *origins]) + '\n'
