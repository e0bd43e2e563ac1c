"""How far the runs of a suite are: what the store has, what each run's folder notes, and who works in it now."""
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from ..errors import UsageError
from .runs import LOCK, LOG, STATE, Run


def find_results(runs: Iterable[Run]) -> dict:
    """The latest result (:class:`mvit3_bench.results.store.Result`) of each run that is done, by its name.

    Raises:
        ResultError: The store is damaged.
    """
    from ..results.store import read  # it imports torch, which a job has no other need for
    found = {}
    for store in {run.results for run in runs}:
        for result in read(store):
            found[store, result.config, result.seed, result.mini] = result
    wanted = {run.name: (run.results, run.result_config, run.seed, run.mini) for run in runs}
    return {name: found[key] for name, key in wanted.items() if key in found}


def read_state(run: Run) -> dict:
    """What a run's folder notes of it; empty for one that this command has not begun.

    Returns:
        ``options`` and ``source``, as it was begun; ``seconds`` that it took until now; ``began``, while it runs; ``ended``,
        how the last time ended: ``''`` if it is done, otherwise why not.
    """
    with suppress(OSError, ValueError):
        return json.loads((run.folder / STATE).read_text(encoding='utf-8'))
    return {}


def check_states(runs: Iterable[Run]) -> None:
    """Check that what was begun is what the file of the suite says now.

    Raises:
        UsageError: A run was begun with other options or another source.
    """
    for run in runs:
        before, now = read_state(run), _plan(run)
        for key in now:
            if before and before.get(key) != now[key]:
                raise UsageError(f'{run.folder} was begun with other {key}: {before.get(key)}, and now has {now[key]}', key,
                                 'give the suite another name, or remove this folder and its result')


def _plan(run: Run) -> dict:
    return dict(options=list(run.options), source=run.source.name if run.source else None)


@contextmanager
def noted(run: Run) -> Iterator[dict]:
    """Within it, a run is noted as begun; afterwards with its time and what was put under ``ended``."""
    before = read_state(run)
    seconds = before.get('seconds', 0.0)
    with suppress(OSError):  # it was killed: it had run until its last line
        seconds += max(0.0, (run.folder / LOG).stat().st_mtime - before['began']) if before.get('began') else 0.0
    state = dict(_plan(run), seconds=seconds, began=time.time(), ended='interrupted')
    _write(run, state)
    try:
        yield state
    except Exception as error:
        state['ended'] = f'failed: {type(error).__name__}: {error}'
        raise
    finally:
        state.update(seconds=seconds + time.time() - state['began'], began=None)
        _write(run, state)


def _write(run: Run, state: dict) -> None:
    (run.folder / STATE).write_text(json.dumps(state, indent=1) + '\n', encoding='utf-8')


# ------------------------------------------------------------------------------------------------ who works on a run
@contextmanager
def held(run: Run, say: TextIO) -> Iterator[tuple[int, bool]]:
    """Within it, no other process works on this run; one that does is waited for.

    The lock is on an open file, so that it ends with the last process that has it: those to which it is passed on
    keep it, too, even if this one is killed.

    Args:
        run: The run.
        say: Where to say that another process is waited for.

    Yields:
        The descriptor of the file, and whether there was another process.
    """
    with open(run.folder / LOCK, 'a+', encoding='utf-8') as file:
        waits = not _lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if waits:
            print(f'{run.name}: waits for {_name(file)}', file=say, flush=True)
            _lock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(f'process {os.getpid()} on {socket.gethostname()}')
        file.flush()
        yield file.fileno(), waits


def holder(run: Run) -> str:
    """The process that works on a run; empty if none does."""
    path = Path(run.folder / LOCK)
    if not path.is_file():
        return ''
    with path.open(encoding='utf-8') as file:
        return '' if _lock(file, fcntl.LOCK_SH | fcntl.LOCK_NB) else _name(file)


def _lock(file: TextIO, operation: int) -> bool:
    try:
        fcntl.flock(file, operation)
    except BlockingIOError:
        return False
    return True


def _name(file: TextIO) -> str:
    file.seek(0)
    return file.read() or 'another process'
