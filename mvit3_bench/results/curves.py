"""Learning curves, from the logs in a work dir."""
import json
from pathlib import Path


def read(work_dir: Path, key: str) -> list[tuple[float, float]]:
    """(epoch, value) of every log entry that has the key; a resumed run overwrites what it repeats."""
    entries = {}
    for file in sorted(work_dir.glob('*/vis_data/scalars.json')):
        text = file.read_text()
        for line in text[:text.rfind('\n') + 1].splitlines():  # a run that was killed may have cut off its last line
            entry = json.loads(line)
            if key in entry:
                # validation entries have the epoch in `step`
                entries[entry['step']] = (entry.get('epoch', entry['step']), entry[key])
    return [entries[step] for step in sorted(entries)]
