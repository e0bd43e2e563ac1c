"""Runs through submitit: on this machine, with a small stand-in for the commands, and on a Slurm that only writes down."""
import io
import os
import re
import signal
import time
from pathlib import Path

import conftest
import pytest
import torch

from mvit3_bench.errors import UsageError
from mvit3_bench.suite import job
from mvit3_bench.suite.runs import Run
from mvit3_bench.suite.state import held, holder, noted, read_state

submitit = pytest.importorskip('submitit')
queues = pytest.importorskip('mvit3_bench.suite.queues')
# a training of seed 1 fails; one of seed 2 goes on until it is stopped and, once resumed, ends
TRAIN = """
import os, signal, sys, time
from pathlib import Path
folder, seed = (Path(sys.argv[sys.argv.index(f'--{flag}') + 1]) for flag in ('work-dir', 'seed'))
begun = (folder / 'begun').exists()
print('resumed' if begun else 'new', os.environ.get('OMP_NUM_THREADS'), flush=True)
def stop(*_):
    print('saved', flush=True)
    sys.exit(75)
signal.signal(signal.SIGTERM, stop)
(folder / 'begun').write_text(str(os.getpid()))
if str(seed) == '1':
    sys.exit('error: no luck')
if str(seed) == '2' and not begun:
    time.sleep(60)
"""
TEST = "print('tested')"


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Commands that take milliseconds, in place of those of this package; a run of a seed in ``tmp_path``."""
    (tmp_path / 'tools').mkdir()
    (tmp_path / 'tools' / 'train.py').write_text(TRAIN)
    (tmp_path / 'tools' / 'test.py').write_text(TEST)
    monkeypatch.setattr(job, 'MIM', tmp_path)
    monkeypatch.setenv('PYTHONPATH', str(conftest.ROOT))
    monkeypatch.setattr(queues, '_POLL', 0.05)

    def make(seed: int, source: Run | None = None, name: str = 'run') -> Run:
        name = f'{name}-seed{seed}'
        return Run(name, 'c', 'c.py', None, seed, (), False, tmp_path / name, tmp_path / 'results', source)
    return make


def log(run: Run) -> list[str]:
    """What the commands of a run printed, but for the lines that name them."""
    lines = (run.folder / 'suite.log').read_text().splitlines()
    return [each for each in lines if each and not each.startswith('20')]


def until(condition, seconds: float = 30) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_failures_do_not_stop_the_rest(stand_in, tmp_path, monkeypatch):
    """Runs work at once and share the cores; one that fails tells why and where, one that needs it fails, others go on."""
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: set(range(6)))
    good, bad = stand_in(0), stand_in(1)
    after = stand_in(0, source=bad, name='after')
    ended = list(queues.execute([bad, after, good], queues.LocalQueue(tmp_path / 'jobs', 2)))
    assert sorted(run.name for run in ended) == ['after-seed0', 'run-seed0', 'run-seed1']
    assert ended.index(after) > ended.index(bad)
    assert log(good) == ['new 3', 'tested'] and read_state(good)['ended'] == ''
    assert read_state(bad)['ended'] == f'failed: no luck (log: {bad.folder}/suite.log)'
    assert log(bad) == ['new 3', 'error: no luck']
    assert read_state(after)['ended'] == 'failed: run-seed1, whose weights it begins with, is not done'
    text = (good.folder / 'suite.log').read_text()
    assert f' mvit3 train c --seed 0 --work-dir {good.folder} --resume\n' in text and f' mvit3 test c {good.folder} ' in text


def test_source_without_its_end(stand_in, tmp_path, monkeypatch):
    """A run does not begin with weights that are gone, or of a training that is not at its end."""
    first, source = stand_in(0, name='first'), stand_in(0, source=stand_in(0, name='first'))
    after = stand_in(0, source=source, name='after')
    monkeypatch.setattr(job, 'find_results', lambda runs: [*runs])
    again = f'mvit3 train c --cfg-options .*checkpoint=BEST_OF_{first.name} .* --work-dir {source.folder} --resume'
    source.folder.mkdir()
    gone = job.RunJob(after, {})._train_and_test(None, 0)
    assert re.search(f'the checkpoint of run-seed0, .*, is gone .* again: {again}', gone)
    for epoch, wanted in ((3, f'run-seed0, .* has trained 3 of 8 epochs; finish it: {again}'), (8, '^stopped')):
        torch.save(dict(meta=dict(epoch=epoch, max_epochs=8)), source.folder / 'epoch.pth')
        (source.folder / 'last_checkpoint').write_text('elsewhere/epoch.pth')
        stopped = job.RunJob(after, {})
        stopped.stopping = True  # the training itself
        assert re.search(wanted, stopped._train_and_test(None, 0))


def test_killed_and_continued(stand_in, tmp_path):
    """A training whose job was killed lives on, and holds its run: the next call waits for it, and then goes on."""
    run = stand_in(2)
    queue = queues.LocalQueue(tmp_path / 'jobs', 1)
    first, = queue.start([run], {}).values()
    until(lambda: (run.folder / 'begun').exists())
    who = holder(run)
    for process in (int(first.job_id), int(who.split()[1])):  # submitit's, and that of the run
        os.kill(process, signal.SIGKILL)
    until(first.done)
    assert holder(run) == who  # by the training
    second, = queue.start([run], {}).values()
    until(lambda: len(log(run)) > 1)
    assert log(run) == ['new None', f'run-seed2: waits for {who}'] or 'OMP_NUM_THREADS' in os.environ
    assert not second.done()
    os.kill(int((run.folder / 'begun').read_text()), signal.SIGKILL)
    until(second.done)
    assert [each.split()[0] for each in log(run)] == ['new', 'run-seed2:', 'resumed', 'tested']
    assert read_state(run)['ended'] == '' and not holder(run)


def test_done_by_another(stand_in, tmp_path):
    """A job that waited for another process does nothing where that one has done the run."""
    run = stand_in(0)
    run.folder.mkdir()
    queue = queues.LocalQueue(tmp_path / 'jobs', 1)
    with held(run, io.StringIO()), noted(run) as state:
        started, = queue.start([run], {}).values()
        until(lambda: (run.folder / 'suite.log').exists() and log(run))
        state['ended'] = ''
    until(started.done)
    assert len(log(run)) == 1 and 'waits for' in log(run)[0]


def test_cancelled(stand_in, tmp_path):
    """What is cancelled has saved before the call returns, and nothing more of it runs."""
    run = stand_in(2)
    queue = queues.LocalQueue(tmp_path / 'jobs', 1)
    jobs = queue.start([run], {})
    until(lambda: (run.folder / 'begun').exists())
    queue.cancel([*jobs.values()])
    assert [each.split()[0] for each in log(run)] == ['new', 'saved']
    assert read_state(run)['ended'] == 'stopped' and not holder(run)


def test_cancelled_while_it_waits(stand_in, tmp_path):
    """A job that waits for another process is cancelled at once; so are those of a caller that goes no further."""
    run, other = stand_in(2), stand_in(0)
    run.folder.mkdir()
    with held(run, io.StringIO()):
        for each in queues.execute([run, other], queues.LocalQueue(tmp_path / 'jobs', 2)):
            assert each is other
            until(lambda: (run.folder / 'suite.log').exists() and 'waits for' in (run.folder / 'suite.log').read_text())
            break
        assert not read_state(run) and not (run.folder / 'begun').exists()


def test_preempted(stand_in, tmp_path):
    """The signal that Slurm sends before a time limit or preemption lets a run save, and be queued again by submitit."""
    run = stand_in(2)
    job, = queues.LocalQueue(tmp_path / 'jobs', 1).start([run], {}).values()
    until(lambda: (run.folder / 'begun').exists())
    os.kill(int(holder(run).split()[1]), signal.SIGUSR2)
    until(job.done)
    assert [each.split()[0] for each in log(run)] == ['new', 'saved', 'resumed', 'tested']
    assert read_state(run)['ended'] == ''


@pytest.mark.parametrize('named, wanted', [('3,5', ['3', '5', '3']), ('', ['', '', ''])])
def test_gpus_are_shared_out(tmp_path, monkeypatch, named, wanted):
    """Runs that work at once take the GPUs in turn, by the names that the environment has for them."""
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', named)
    queue = queues.LocalQueue(tmp_path / 'jobs', 3)
    assert [queue._env(slot)['CUDA_VISIBLE_DEVICES'] for slot in range(3)] == wanted


def test_exit_code_of_a_stopped_training():
    """It is the one of the hook, which the job does not import."""
    from mvit3_bench.engine.hooks.preemption import EXIT_CODE
    assert job.STOPPED == EXIT_CODE


# ------------------------------------------------------------------------------------------------ Slurm
def command(folder: Path, name: str, text: str) -> None:
    """Write a shell script."""
    (folder / name).write_text(f'#!/bin/sh\n{text}\n')
    (folder / name).chmod(0o755)


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A Slurm that numbers jobs from 100 on, says of each what ``states`` has, and writes down what it is told."""
    folder = tmp_path / 'slurm'
    folder.mkdir()
    command(folder, 'srun', '')
    command(folder, 'sbatch', f'n=$((100 + $(ls {folder}/*.job 2>/dev/null | wc -l))); cp "$1" {folder}/$n.job; '
                              'echo Submitted batch job $n')
    command(folder, 'sacct', f'echo "JobID|State|NodeList"; cat {folder}/states')
    command(folder, 'scancel', f'echo "$@" >> {folder}/cancelled')
    monkeypatch.setenv('PATH', f'{folder}:{os.environ["PATH"]}')
    (folder / 'states').touch()
    submitit.SlurmJob.watcher.clear()
    return folder


def sbatch(file: Path) -> dict[str, str]:
    """The parameters of a file for sbatch."""
    lines = [line.removeprefix('#SBATCH --') for line in file.read_text().splitlines() if line.startswith('#SBATCH')]
    return {key: value.strip("'") for key, _, value in (line.partition('=') for line in lines)}


SLURM = dict(partition='gpu', gpus_per_node=1, cpus_per_task=8, timeout_min=600, array_parallelism=2)


def test_submitted_to_slurm(stand_in, tmp_path, slurm):
    """An array of what can begin; what begins with its weights waits for that one job; a second call takes over."""
    first, second = stand_in(0), stand_in(1)
    after = stand_in(0, source=first, name='after')
    queue = queues.SlurmQueue(tmp_path / 'jobs', 'tasks', SLURM)
    jobs = queue.start([first, second, after], {})
    assert [jobs[run].job_id for run in (first, second, after)] == ['100_0', '100_1', '101']
    array, one = sbatch(slurm / '100.job'), sbatch(slurm / '101.job')
    assert array['array'] == '0-1%2' and array['job-name'] == 'tasks' and 'dependency' not in array
    assert [array[key] for key in ('partition', 'gpus-per-node', 'cpus-per-task', 'time')] == ['gpu', '1', '8', '600']
    assert one['dependency'] == 'afterany:100_0' and 'array' not in one

    (slurm / 'states').write_text('100_0|RUNNING|\n100_1|FAILED|\n101|PENDING|\n')
    submitit.SlurmJob.watcher.clear()
    jobs = queues.SlurmQueue(tmp_path / 'jobs', 'tasks', SLURM).start([first, second, after], {})
    assert [jobs[run].job_id for run in (first, second, after)] == ['100_0', '102', '101']

    (slurm / 'states').write_text('100_0|FAILED|\n102|FAILED|\n101|FAILED|\n')
    submitit.SlurmJob.watcher.clear()
    assert list(queues.execute([], queue)) == [] and all(job.done() for job in jobs.values())
    queue.cancel([jobs[first]])
    assert (slurm / 'cancelled').read_text() == '100_0\n'


def test_dry_run_of_slurm(stand_in, tmp_path):
    """What sbatch would get, where there is no Slurm; a run whose source is done waits for nothing."""
    first, done = stand_in(0), stand_in(1)
    runs = [first, stand_in(2), stand_in(0, source=first, name='after'), stand_in(1, source=done, name='after')]
    queue = queues.SlurmQueue(tmp_path / 'jobs', 'tasks', SLURM | dict(dependency='singleton'), submits=False)
    texts = list(queue.texts(runs))
    assert [[run.name for run in group] for group, _ in texts] == [
        ['run-seed0', 'run-seed2'], ['after-seed0'], ['after-seed1']]
    for number, (_, text) in enumerate(texts):
        (tmp_path / f'{number}').write_text(text)
    found = [sbatch(tmp_path / f'{number}') for number in range(3)]
    assert [each.get('array') for each in found] == ['0-1%2', None, None]
    assert [each['dependency'] for each in found] == ['singleton', 'singleton,afterany:JOB_OF_run-seed0', 'singleton']
    assert not (tmp_path / 'jobs').exists()


@pytest.mark.parametrize('parameters, words', [
    (dict(partion='gpu'), r"slurm has no key 'partion'; meant, perhaps: partition"),
    (dict(nodes=2), r"slurm has no key 'nodes'"),
    (dict(setup=3), r'')])
def test_parameters_of_slurm(tmp_path, parameters, words):
    """They are submitit's; more than one process a run is not possible."""
    with pytest.raises(UsageError, match=words):
        queues.SlurmQueue(tmp_path, 'tasks', parameters, submits=False)


def test_no_slurm_here(tmp_path, monkeypatch):
    """Where srun is missing, the dry run is pointed to."""
    monkeypatch.setenv('PATH', '')
    with pytest.raises(UsageError, match='slurm is not possible here: .*srun.*; .*--dry-run shows the jobs anywhere'):
        queues.SlurmQueue(tmp_path, 'tasks', {})
