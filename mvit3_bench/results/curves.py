"""Learning curves, from the logs in a work dir."""
import json
from pathlib import Path


def read(work_dir: Path, key: str) -> list[tuple[float, float]]:
    """(epoch, value) of every log entry that has the key; a resumed run overwrites what it repeats.

    The entries of a training are spread over their epoch, whose last one stands for its end. Those of one without epochs
    have the iteration in its place.
    """
    entries = {}
    for file in sorted(work_dir.glob('*/vis_data/scalars.json')):
        for entry in entries_of(file):
            if key in entry:
                entries[entry['step']] = (entry.get('epoch'), entry[key])
    ends = {0: 0} | {epoch: step for step, (epoch, _) in sorted(entries.items())}  # the last entry of each epoch
    return [(_place(step, epoch, ends), value) for step, (epoch, value) in sorted(entries.items())]


def entries_of(file: Path) -> list[dict]:
    """The entries of a log; a run that was killed may have cut off its last line, which is left out."""
    text = file.read_text()
    return [json.loads(line) for line in text[:text.rfind('\n') + 1].splitlines()]


def _place(step: int, epoch: int | None, ends: dict[int | None, int]) -> float:
    if epoch is None:  # validation, whose step is the epoch
        return step
    start = ends.get(epoch - 1, 0)
    return epoch - 1 + (step - start) / (ends[epoch] - start)
