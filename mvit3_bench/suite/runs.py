"""A run of a suite: its name, its folder and its two commands. Needs nothing but Python, for it travels to the jobs."""
import shlex
from dataclasses import dataclass
from pathlib import Path

# in the work dir of each run: what its commands printed, who works on it, and how far it is
LOG, LOCK, STATE = 'suite.log', 'suite.lock', 'suite.json'
INIT = 'model.backbone.init_cfg'


@dataclass(frozen=True)
class Run:
    """One training and its test.

    Args:
        name: Config, backbone and seed; unlike any other in the suite.
        config: As the file of the suite names it.
        recorded: The same as results name it: a path below ``configs/``, if it is one of ours.
        backbone: As ``--backbone`` takes it; None: the config's.
        seed: Of the training.
        options: Words of ``--cfg-options``, ``KEY=VALUE``.
        mini: Whether the data are the miniature ones.
        folder: The work dir.
        results: The store of results.
        source: The run whose weights the backbone begins with.
    """
    name: str
    config: str
    recorded: str
    backbone: str | None
    seed: int
    options: tuple[str, ...]
    mini: bool
    folder: Path
    results: Path
    source: 'Run | None' = None

    @property
    def result_config(self) -> str:
        """The field ``config`` of its result."""
        return self.recorded + (f' --backbone {self.backbone}' if self.backbone else '')

    def train(self, checkpoint: str | None = None) -> list[str]:
        """The words behind ``mvit3`` that train it, or go on with it.

        Args:
            checkpoint: Of the source, if there is one.
        """
        init = dict(type='Pretrained', checkpoint=checkpoint, prefix='backbone.') if checkpoint else {}
        words = [*self.options, *(f'{INIT}.{key}={value}' for key, value in init.items())]
        return ['train', self.config, *self._flags(words), '--seed', str(self.seed),
                '--work-dir', str(self.folder), '--resume']

    def test(self) -> list[str]:
        """The words behind ``mvit3`` that test it and record the result."""
        return ['test', self.config, str(self.folder), *self._flags(self.options), '--work-dir', str(self.folder / 'test'),
                '--record', str(self.results)]

    def _flags(self, options) -> list[str]:
        return [*(['--backbone', self.backbone] if self.backbone else []), *['--mini'] * self.mini,
                *(['--cfg-options', *options] if options else [])]


@dataclass(frozen=True)
class Suite:
    """Runs that belong together.

    Args:
        name: Of the suite.
        command: The line that runs it.
        folder: Of work dirs, jobs and the table.
        slurm: Parameters of submitit for Slurm.
        runs: In the order of the file; a source stands before the runs that begin with its weights.
    """
    name: str
    command: str
    folder: Path
    slurm: dict
    runs: tuple[Run, ...]


def train_line(run: Run) -> str:
    """The line that trains a run; BEST_OF_NAME in it is the best checkpoint of the run that it begins with."""
    return line(run.train(f'BEST_OF_{run.source.name}' if run.source else None))


def line(words: list[str]) -> str:
    """A command as a line for a shell."""
    return shlex.join(['mvit3', *words])
