"""The rounds of a benchmark that is not finished, in a file: the same command goes on from them."""
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from ..checkpoints.atomic import write_text
from .cases import Case

FILE = 'rounds.json'  # in the folder of the report, until the benchmark is finished


class Rounds:
    """The rounds of all cases, part by part; the cases of a part take turns.

    Args:
        folder: Of the report.
        settings: What has to be the same for rounds to be comparable, ready for json: arguments, machine, versions.
        log: Called with a line on what is there.
    """

    def __init__(self, folder: Path, settings: dict, log: Callable[[str], None]):
        self.file, self.settings, self.parts = folder / FILE, json.loads(json.dumps(settings)), {}
        if self.file.is_file():
            try:
                found = json.loads(self.file.read_text(encoding='utf-8'))
                same = found['settings'] == self.settings
                self.parts = found['parts'] if same else {}
                log(f'{self.file}: ' + ('goes on from there' if same else 'of another command, and replaced'))
            except (ValueError, KeyError, TypeError):
                log(f'{self.file} cannot be read, and is replaced')

    def finished(self, part: str, rounds: int) -> tuple[list[Case], list[tuple[str, str]]] | None:
        """Cases, and name and reason of what could not be run, of a part that has all its rounds; None if it has not."""
        found = self.parts.get(part)
        if not found or any(len(each['rounds']) < rounds for each in found['cases']):
            return None
        return [Case(**each) for each in found['cases']], [tuple(each) for each in found['skipped']]

    def restore(self, part: str, cases: list[Case]) -> None:
        """Give cases the rounds that they have in the file. In a round all of them had a turn, in
        the same layout, or it does not count.
        """
        found = {(str(Case(**each)), each['layout']): each['rounds'] for each in self.parts.get(part, {}).get('cases', [])}
        mine = [found.get((str(case), case.layout), []) for case in cases]
        common = min(map(len, mine), default=0)
        for case, rounds in zip(cases, mine, strict=True):
            case.rounds = rounds[:common]

    def write(self, part: str, cases: list[Case], skipped: list[tuple[str, str]]) -> None:
        """Write the rounds of a part, beside those of the others."""
        self.parts[part] = dict(cases=[asdict(replace(case, call=None)) for case in cases], skipped=skipped)
        write_text(self.file, json.dumps(dict(settings=self.settings, parts=self.parts)) + '\n')

    def remove(self) -> None:
        """Remove the file: the benchmark is finished."""
        self.file.unlink(missing_ok=True)
