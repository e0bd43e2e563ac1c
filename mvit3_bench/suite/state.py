"""How far the runs of a suite are: what the store has, what each run's folder notes, and who works in it now."""
import fcntl
import itertools
import json
import os
import shlex
import socket
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from ..errors import UsageError
from .runs import LOCK, LOG, STATE, Run


def find_results(runs: Collection[Run]) -> dict:
    """The latest result (:class:`mvit3_bench.results.store.Result`) of each run that is done, by its name.

    A result belongs to a run if config, backbone, seed, kind of data and ``--cfg-options`` are the same.

    Raises:
        ResultError: The store is damaged.
    """
    from ..results.store import read  # it imports torch, which a job has no other need for
    found = {}
    for store in {run.results for run in runs}:
        for result in read(store):
            found[store, result.config, result.seed, result.mini, _options(result.command)] = result
    wanted = {run.name: (run.results, run.result_config, run.seed, run.mini, run.options) for run in runs}
    return {name: found[key] for name, key in wanted.items() if key in found}


def _options(command: str) -> tuple[str, ...]:
    """The words of ``--cfg-options`` in a command."""
    try:
        words = shlex.split(command)
    except ValueError:  # an open quote
        words = command.split()
    behind = words[words.index('--cfg-options') + 1:] if '--cfg-options' in words else []
    return tuple(itertools.takewhile(lambda word: not word.startswith('--'), behind))


def read_state(run: Run) -> dict:
    """What a run's folder notes of it; empty for one that this command has not begun.

    Returns:
        What ``_plan`` has, as it was begun; ``seconds`` that it took until now; ``began``, while it runs; ``ended``,
        how the last time ended: ``''`` if it is done, otherwise why not.
    """
    with suppress(OSError, ValueError):
        return json.loads((run.folder / STATE).read_text(encoding='utf-8'))
    return {}


def check_states(runs: Iterable[Run]) -> None:
    """Check that what was begun is what the file of the suite says now.

    Raises:
        UsageError: A run was begun with other options, another source or other data.
    """
    for run in runs:
        before, now = read_state(run), _plan(run)
        for key in now:
            if before.get(key, now[key]) != now[key]:
                raise UsageError(f'{run.folder} was begun with other {key}: {before[key]}, and now has {now[key]}', key,
                                 'take another folder (--work-dir), or remove this one and its result')


def _plan(run: Run) -> dict:
    return dict(options=list(run.options), source=run.source.name if run.source else None, config=run.recorded,
                mini=run.mini)


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
    # in one step, as of a file cut short nothing would be known; the function of checkpoints/ imports torch
    part = (run.folder / STATE).with_suffix('.part')
    part.write_text(json.dumps(state, indent=1) + '\n', encoding='utf-8')
    part.replace(run.folder / STATE)


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
