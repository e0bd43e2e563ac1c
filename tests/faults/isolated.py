"""Calls in a process of their own, which may crash, hang or take too much memory and then is replaced."""
import multiprocessing
import resource
from collections.abc import Callable
from pathlib import Path


class Isolated:
    """Calls a function in another process, again and again in the same as long as it lives.

    Args:
        function: What to call; a function that pickle finds by its name.
        timeout: Seconds that a call may take, without the start of the process.
        memory: Bytes that a call may take beyond what the process had before, its own children's included.
    """

    def __init__(self, function: Callable, timeout: float, memory: int):
        self.function, self.timeout, self.memory = function, timeout, memory
        self.process = None

    def __call__(self, *args) -> tuple[bool, object]:
        """Whether the call came to its end, and its result; or what happened to it, in a few words."""
        if self.process is None:
            context = multiprocessing.get_context('spawn')
            self.pipe, theirs = context.Pipe()
            self.process = context.Process(target=_serve, args=(theirs, self.function))
            self.process.start()
            theirs.close()
            self.ready = False
        try:
            self.ready = self.ready or self.pipe.recv()  # importing what the function needs does not count
            self.pipe.send(args)
            if not self.pipe.poll(self.timeout):
                self.stop()
                return False, f'hang: no result within {self.timeout:.0f} s'
            result, memory = self.pipe.recv()
        except EOFError:
            self.process.join()
            code, self.process = self.process.exitcode, None
            return False, f'crash: exit code {code}'
        if isinstance(result, Exception):
            return False, f'{type(result).__name__}: {result}'
        if memory > self.memory:
            self.stop()  # the peak of its children never falls
            return False, f'memory: {memory / 2**20:.0f} MiB'
        return True, result

    def stop(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.process = None

    def __enter__(self) -> 'Isolated':
        return self

    def __exit__(self, *_) -> None:
        self.stop()


def _memory(field: str) -> int:
    """A field of the process's memory, in bytes."""
    status = Path('/proc/self/status').read_text()
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith(field))


def _serve(pipe, function: Callable) -> None:
    multiprocessing.set_start_method('fork', force=True)  # as the configs do, for the workers of data loaders
    pipe.send(True)
    while True:
        try:
            args = pipe.recv()
        except EOFError:
            return
        Path('/proc/self/clear_refs').write_text('5')  # the peak begins anew
        before = _memory('VmRSS')
        try:
            result = function(*args)
        except Exception as error:
            result = RuntimeError(f'{type(error).__name__}: {error}')  # any other may not survive the way back
        peak = max(_memory('VmHWM'), 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
        pipe.send((result, peak - before))
