"""What an examination finds, and how it is shown."""
import textwrap
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

OK, INFO, WARNING, ERROR = LEVELS = ('ok', 'info', 'warning', 'error')
_WIDTH = 120


@dataclass(frozen=True)
class Finding:
    """One result of an examination.

    Args:
        section: Which examination, for instance ``'packages'``.
        name: What was examined.
        level: ``'ok'``; ``'info'``, which no run depends on; ``'warning'``, a run starts but perhaps not the one meant; or
            ``'error'``, a run stops.
        found: What was found.
        fix: What to do about it; empty if there is nothing to do.
    """
    section: str
    name: str
    level: str
    found: str
    fix: str = ''


def explained(message: str) -> tuple[str, str]:
    """What was found and the fix, out of a warning of the log, whose last line or clause says what to do."""
    for mark in ('\n  ', '; ', ': set '):
        found, _, fix = message.rpartition(mark)
        if found:
            return found, ('set ' if mark == ': set ' else '') + fix
    return message, ''


def table(findings: Iterable[Finding]) -> str:
    """Findings as text, by section, each with its fix below it; the last line counts them."""
    findings, lines = list(findings), []
    names = max((len(each.name) for each in findings), default=0)
    indent = ' ' * (names + 13)
    for section in dict.fromkeys(each.section for each in findings):
        lines += ['', section]
        for each in filter(lambda finding: finding.section == section, findings):
            text = [*each.found.splitlines(), *(f'-> {line.strip()}' for line in each.fix.splitlines())]
            wrapped = [part for line in text for part in textwrap.wrap(
                line.rstrip(), _WIDTH - len(indent), subsequent_indent='  ', break_long_words=False, break_on_hyphens=False)]
            lines.append(f'  {each.level:7}  {each.name:{names}}  ' + f'\n{indent}'.join(wrapped))
    counts = Counter(each.level for each in findings)
    return '\n'.join([*lines[1:], '', ', '.join(f'{level}: {counts[level]}' for level in LEVELS)])
