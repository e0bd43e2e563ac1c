"""What a user may meet: each error tells what was found, where, and how to fix it. Needs nothing but Python."""
import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NO_SPACE = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}


class BenchError(Exception):
    """An error whose message is all that a user needs; a command shows it without a traceback.

    ``str(error)`` is what was found, and behind it how to fix it.

    Args:
        found: What was found, as a sentence that names the file, key or argument.
        where: That file, key or argument alone, where there is one.
        fix: What to do about it; empty if the sentence says all.
        joint: What stands between the sentence and the fix: ``'\\n  '`` puts the fix on a separate line.
    """

    def __init__(self, found: str, where: str | Path = '', fix: str = '', joint: str = '; '):
        self.found, self.where, self.fix, self.joint = found, str(where), fix, joint
        super().__init__(found + joint + fix if fix else found)

    def __str__(self) -> str:
        return self.args[0]

    def __reduce__(self):
        return type(self), (self.found, self.where, self.fix, self.joint)


class UsageError(BenchError):
    """An argument, a config or a file is wrong."""


class MissingFileError(UsageError, FileNotFoundError):
    """A file or folder that is needed is not there."""


class CheckpointError(BenchError, RuntimeError):
    """A file is no checkpoint, or not one of this model."""


class UnsafePickleError(BenchError, ValueError):
    """A checkpoint asks for something that no checkpoint needs."""


class UnreadableSample(BenchError, RuntimeError):
    """A file of a data set cannot be read, or not used."""


class WriteError(BenchError, RuntimeError):
    """A file cannot be written; on a full disk the free space is named. What was there is unharmed.

    Args:
        path: The file.
        error: Of the system.
    """

    def __init__(self, path: str | Path, error: OSError):
        self.error = error
        folder = next(each for each in Path(path).absolute().parents if each.is_dir())  # that it is for may be missing yet
        free, fix = '', 'fix that'
        if error.errno in NO_SPACE:
            free, fix = f'; {shutil.disk_usage(folder).free / 1e6:.1f} MB are free in {folder}', 'make room'
        super().__init__(f'cannot write {path}: {error.strerror}{free}', path,
                         f'{fix}, or take another name or folder; the former file is unharmed', '\n  ')

    def __reduce__(self):
        return type(self), (self.where, self.error)


class DivergedError(BenchError, RuntimeError):
    """Loss or weights are NaN or infinite; the fix says where to go on from."""


class ResultError(BenchError, ValueError):
    """A file of the store of results is wrong, or a result cannot be added; the message names the field."""


class EvaluationError(BenchError, RuntimeError):
    """A checkpoint could not be evaluated."""


class ExportError(BenchError, RuntimeError):
    """A model cannot be exported, or what was exported computes something else; no file was written."""


@contextmanager
def user_errors(*types: type[Exception]) -> Iterator[None]:
    """Within it, errors of these types are the user's to fix: their message is enough, a traceback is not needed."""
    try:
        yield
    except types as error:
        if isinstance(error, BenchError):
            raise
        raise UsageError(str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)) from error


@contextmanager
def space_needed() -> Iterator[None]:
    """Within it, a full disk is a :class:`WriteError`, whoever was writing: a log, for instance."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        raise WriteError(error.filename or 'a file', error) from error


def message_of(error: Exception) -> str:
    """The message of an error; of one that comes from a data loader's worker, which wraps it in the traceback of that
    process, its own message: it stands last.
    """
    message = str(error)
    if 'Original Traceback' not in message:
        return message
    return message.rstrip().splitlines()[-1].partition(': ')[2]


def error_in(output: str) -> str:
    """The error that ended a command, in what it printed: the message, or the last line of a traceback."""
    text = '\n' + output.rstrip()
    return text.rpartition('\nerror: ' if '\nerror: ' in text else '\n')[2]


def first_line(error: Exception) -> str:
    """The first line of an error's message, or its type."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
