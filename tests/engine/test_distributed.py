"""Several processes train and test as one does: gloo on the CPU, started by torchrun, Slurm's variables or Open MPI."""
import json
import os
import pickle
import shutil
import stat
import subprocess
import sys
from datetime import timedelta

import cv2
import pytest
import torch
from conftest import ROOT
from processes import ENV, begin, fixed_recipe, flags, free_port, output, records

from mvit3_bench.engine.distributed import first_host, port_of_job

pytest.importorskip('mmdet', reason='mmdetection is not installed')
pytest.importorskip('mmseg', reason='mmsegmentation is not installed')
pytest.importorskip('mmpretrain', reason='mmpretrain is not installed')
TASKS = ['classification', pytest.param('detection', marks=pytest.mark.slow),
         pytest.param('segmentation', marks=pytest.mark.slow)]
METRIC = dict(classification='accuracy/top1', detection='coco/bbox_mAP', segmentation='mIoU')


def same_training(one, two):
    """Two runs had the same losses and rates at each iteration, and end with the same weights, averages and statistics."""
    steps = list(zip(records(one), records(two), strict=True))
    assert len(steps) >= 4
    for single, joint in steps:
        for key in [key for key in single if 'loss' in key or key == 'lr']:
            assert joint[key] == pytest.approx(single[key], rel=1e-5), (single['step'], key)
    single, joint = (torch.load(run / 'epoch_2.pth', weights_only=True) for run in (one, two))
    for part in ('state_dict', 'ema_state_dict'):
        for name, value in single[part].items():
            torch.testing.assert_close(joint[part][name], value, rtol=1e-4, atol=1e-4,
                                       msg=lambda text, n=name: f'{n}: {text}')


@pytest.mark.parametrize('task', TASKS)
def test_two_processes_train_as_one(run_dir, tool, task):
    """At an equal global batch and with synchronised batch norms: equal losses, weights, averages; no parameter unused.

    Detection and segmentation are slow, as each needs three processes that import the frameworks.
    """
    config = fixed_recipe(run_dir, task)
    two = begin('dist_train.sh', config, 2, *flags(task, 2), '--work-dir', 'two')
    outcome = tool('train', config, *flags(task, 1), '--work-dir', 'one')
    assert outcome.code == 0, outcome.output
    assert 'strides do not match' not in output(two)  # which torch says where it copies each gradient into its bucket
    same_training(run_dir / 'one', run_dir / 'two')


def predictions(folder) -> list[dict]:
    """What a test has predicted for each image, in their order: detections, scores of the classes, or a mask."""
    if not (folder / 'predictions.pkl').is_file():
        masks = [cv2.imread(str(file), cv2.IMREAD_UNCHANGED) for file in sorted(folder.glob('*.png'))]
        return [dict(mask=torch.from_numpy(mask)) for mask in masks]
    images = pickle.loads((folder / 'predictions.pkl').read_bytes())
    return [{key: image['pred_instances'][key] for key in ('bboxes', 'scores', 'labels')} if 'pred_instances' in image else
            {key: image[key] for key in ('pred_score', 'pred_label')} for image in images]


@pytest.mark.slow
@pytest.mark.parametrize('task', METRIC)
def test_metrics_of_several_processes(run_dir, tool, task):
    """Two and three processes, with 7 images, have the predictions and the metrics of one to the last digit.

    Metrics of so short a training may be zero; predictions never are. With --deploy, the metrics.

    Slow: ten processes for each task.
    """
    config = fixed_recipe(run_dir, task)
    outcome = tool('train', config, *flags(task, 1), '--work-dir', 'run')
    assert outcome.code == 0, outcome.output

    def tested(processes, *extra):
        name = '_'.join(map(str, (processes, *extra)))
        output(begin('dist_test.sh', config, 'run', processes, '--mini', '--out', name, '--work-dir', 'work', *extra,
                     '--cfg-options', 'test_dataloader.dataset.indices=7',
                     'test_dataloader.batch_size=1'))  # a batch of other images is summed in another order
        return json.loads((run_dir / name / 'metrics.json').read_text()), predictions(run_dir / name)

    one, images = tested(1)
    assert METRIC[task] in one and len(images) == 7
    if task == 'detection':
        assert all(len(image['scores']) > 10 for image in images)
    for metrics, others in (tested(2), tested(3)):
        assert metrics == one
        for image, other in zip(images, others, strict=True):
            assert all(torch.equal(image[key], other[key]) for key in image)
    assert tested(2, '--deploy')[0] == tested(1, '--deploy')[0]


@pytest.mark.slow
def test_two_nodes(run_dir):
    """Two agents of torchrun, as on two machines, train together with one process each, and with the losses of one agent.

    Slow: four processes that import the frameworks.
    """
    config = fixed_recipe(run_dir, 'segmentation')
    port = free_port()
    nodes = [begin('dist_train.sh', config, 1, *flags('segmentation', 2), '--work-dir', 'nodes', NNODES=2, NODE_RANK=rank,
                   MASTER_ADDR='127.0.0.1', PORT=port) for rank in (0, 1)]
    for node in nodes:
        output(node)
    output(begin('dist_train.sh', config, 2, *flags('segmentation', 2), '--work-dir', 'agent'))
    nodes, agent = ([record['loss'] for record in records(run_dir / name)] for name in ('nodes', 'agent'))
    assert nodes == agent and len(nodes) > 3


def test_first_host():
    """Slurm's short form of a list of hosts."""
    for nodes, host in (('login1', 'login1'), ('a,b', 'a'), ('gpu[03-07,12],a', 'gpu03'), ('r[1-2]n[7,9]', 'r1n7'),
                        ('gpu[5].site.org', 'gpu5.site.org')):
        assert first_host(nodes) == host


@pytest.fixture
def job(monkeypatch):
    """Set variables of Slurm or Open MPI, in place of those of this process."""
    def enter(**variables):
        for name in [name for name in os.environ if name.startswith(('SLURM_', 'OMPI_', 'PMIX_'))]:
            monkeypatch.delenv(name)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
    return enter


def test_port_of_a_job(job):
    """Each job, and each step of one, meets at its own port, which all its processes find; others at torch's."""
    jobs = [dict(SLURM_JOB_ID='7654321'), dict(SLURM_JOB_ID='7654322'), dict(SLURM_JOB_ID='7654321', SLURM_STEP_ID='1'),
            dict(PMIX_NAMESPACE='prterun-node1-5555@1'), dict(OMPI_MCA_ess_base_jobid='3914596353')]
    ports = []
    for variables in jobs:
        for rank in '01':
            launcher = 'slurm' if 'SLURM_JOB_ID' in variables else 'mpi'
            job(**variables, SLURM_PROCID=rank, OMPI_COMM_WORLD_RANK=rank, PMIX_RANK=rank)
            ports.append(int(port_of_job(launcher)))
    assert ports[::2] == ports[1::2] and len(set(ports)) == len(jobs)
    assert all(10_000 <= port < 29_500 for port in ports)
    # those that mpirun starts in a job of Slurm are of different steps
    job(PMIX_NAMESPACE='prterun-node1-5555@1', SLURM_JOB_ID='7654321', SLURM_STEP_ID='1')
    assert int(port_of_job('mpi')) == ports[-4]
    job()
    assert port_of_job('slurm') == port_of_job('pytorch') == '29500'


@pytest.mark.parametrize('visible, device', [(1, 0), (8, 3)])
def test_settings_of_the_config(job, monkeypatch, visible, device):
    """MMEngine's settings mean the same: the port is taken up. A task that sees its own GPU alone has number 0 of these."""
    from mmengine.config import Config

    from mvit3_bench.engine import distributed
    asked, devices = [], []
    monkeypatch.setattr(distributed.distributed, 'init_process_group', lambda **settings: asked.append(settings))
    monkeypatch.setattr('torch.cuda.is_available', lambda: True)
    monkeypatch.setattr('torch.cuda.device_count', lambda: visible)
    monkeypatch.setattr('torch.cuda.set_device', devices.append)
    for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT'):
        monkeypatch.setenv(name, '0')  # so that it is as before in the end
        monkeypatch.delenv(name)
    job(SLURM_PROCID='3', SLURM_NTASKS='8', SLURM_LOCALID='3', SLURM_NODELIST='gpu1')
    settings = dict(backend='nccl', port=29501, init_backend='torch')
    distributed.distribute(Config(dict(env_cfg=dict(dist_cfg=settings))), 'slurm')
    assert asked == [dict(backend='nccl', timeout=timedelta(seconds=600))] and devices == [device]
    assert (os.environ['MASTER_PORT'], os.environ['LOCAL_RANK']) == ('29501', str(device))


def test_port_is_taken(job, monkeypatch):
    """The message says what to set."""
    import socket

    from mmengine.config import Config

    from mvit3_bench.engine import distributed
    job()
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        server.listen()
        port = server.getsockname()[1]
        for name, value in dict(RANK=0, LOCAL_RANK=0, WORLD_SIZE=2, MASTER_ADDR='127.0.0.1', MASTER_PORT=port).items():
            monkeypatch.setenv(name, str(value))
        with pytest.raises(ValueError, match=f'port {port} is taken.*set MASTER_PORT'):
            distributed.distribute(Config(), 'pytorch')


@pytest.mark.parametrize('variables, kept', [
    ({}, '--standalone'), (dict(PORT='1234'), '--master_port=1234'), (dict(NNODES='2', MASTER_ADDR='a'), '--master_addr=a')])
def test_scripts_on_one_machine_take_a_free_port(tmp_path, variables, kept):
    """Unless they are told one; on several machines all must be told the same."""
    (tmp_path / 'python').write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / 'python').chmod(0o755)
    env = {name: value for name, value in ENV.items() if name not in ('PORT', 'NNODES', 'MASTER_ADDR')}
    for script, words in dict(dist_train=['config', '2'], dist_test=['config', 'checkpoint', '2']).items():
        text = subprocess.run(['bash', str(ROOT / 'tools' / f'{script}.sh'), *words], text=True, stdout=subprocess.PIPE,
                              check=True, env=env | variables | dict(PATH=f'{tmp_path}:{env["PATH"]}')).stdout
        assert kept in text.split() and '--nproc_per_node=2' in text.split()
        assert ('--standalone' in text) == (not variables)


ONCE = """
import os, sys
from pathlib import Path
from mmengine.config import Config
from mvit3_bench.datasets.checks import folders
from mvit3_bench.engine.distributed import distribute, on_first
from mvit3_bench.errors import BenchError

walk = folders.list_folder
folders.list_folder = lambda folder: print('walk through', folder) or walk(folder)
distribute(Config(), 'pytorch')
for masks in (None, Path('ann')):
    try:
        on_first(folders.check_pairs, 'train_dataloader', Path('img'), masks, ('.jpg', '.png'))
    except BenchError as error:
        print(type(error).__name__, error.found, error.fix)
print('both checked', flush=True)
on_first(os._exit, 3)
"""


def test_data_are_checked_once(tmp_path):
    """Of two processes the first walks through the folders and warns; both end with its error, and when it is gone."""
    for file in ('img/1.jpg', 'img/2.png', 'ann/3.png'):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    env = ENV | dict(WORLD_SIZE='2', MASTER_ADDR='127.0.0.1', MASTER_PORT=str(free_port()))
    ranks = [subprocess.Popen([sys.executable, '-c', ONCE], cwd=tmp_path, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, env=env | dict(RANK=rank, LOCAL_RANK=rank)) for rank in '01']
    first, other = (rank.communicate(timeout=120)[0] for rank in ranks)
    assert [rank.returncode for rank in ranks] == [3, 1], first + other
    assert first.count('walk through img') == 2 and first.count('1 files do not end in .jpg') == 1
    assert 'walk' not in other and 'do not end in' not in other
    errors = [[line for line in text.splitlines() if line.startswith('MissingFileError')] for text in (first, other)]
    assert errors[0] == errors[1] and '1 of 1 images in img have no mask' in errors[0][0]
    assert 'both checked' in other


@pytest.mark.parametrize('launcher, env, parts', [
    ('pytorch', {}, ('RANK, WORLD_SIZE', 'torchrun')),
    ('slurm', dict(SLURM_PROCID='0'), ('SLURM_NTASKS, SLURM_LOCALID', 'srun')),
    ('slurm', dict(SLURM_PROCID='0', SLURM_NTASKS='2', SLURM_LOCALID='0'), ('MASTER_ADDR',)),
    ('mpi', {}, ('OMPI_COMM_WORLD_RANK', 'mpirun')),
    ('mpi', dict(OMPI_COMM_WORLD_RANK='0', OMPI_COMM_WORLD_SIZE='4', OMPI_COMM_WORLD_LOCAL_RANK='0',
                 OMPI_COMM_WORLD_LOCAL_SIZE='2'), ('MASTER_ADDR', 'host of the first process'))])
def test_not_started_by_the_launcher(run_dir, tool, monkeypatch, launcher, env, parts):
    """Started without the launcher that the flag names, a tool says what is missing in the environment."""
    for name in [name for name in os.environ if name.startswith(('SLURM_', 'OMPI_', 'MASTER_', 'RANK', 'WORLD_SIZE'))]:
        monkeypatch.delenv(name)
    for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'):
        monkeypatch.setenv(name, '0')  # so that it is as before in the end
        monkeypatch.delenv(name)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    config = fixed_recipe(run_dir, 'segmentation')
    outcome = tool('train', config, '--mini', '--launcher', launcher)
    assert outcome.code == 1 and 'Traceback' not in outcome.output
    assert all(part in outcome.output for part in (f'--launcher {launcher}', *parts)), outcome.output


# What srun does, as far as a program sees: starts the tasks on this machine, each with its number, ends with the worst code.
SRUN = r"""#!/usr/bin/env bash
args=("$@")
while [[ $1 == -* ]]; do
  case $1 in -p) shift 2;; --ntasks=*) ntasks=${1#*=}; shift;; *) shift;; esac
done
printf '%s\n' "${args[@]}" > srun_arguments
export SLURM_JOB_ID=$$ SLURM_STEP_ID=0
for ((rank = 0; rank < ntasks; rank++)); do
  SLURM_PROCID=$rank SLURM_NTASKS=$ntasks SLURM_LOCALID=$rank SLURM_NODELIST='localhost,node[1-3]' "$@" & pids+=($!)
done
code=0
for pid in "${pids[@]}"; do wait "$pid" || code=$?; done
exit $code
"""


@pytest.mark.slow
def test_slurm_script_with_an_imitation_of_srun(run_dir):
    """tools/slurm_train.sh with two tasks; real Slurm was not there: a script in its place starts them with its variables.

    Slow: two processes that import the frameworks.
    """
    srun = run_dir / 'bin' / 'srun'
    srun.parent.mkdir()
    srun.write_text(SRUN)
    srun.chmod(srun.stat().st_mode | stat.S_IXUSR)
    config = fixed_recipe(run_dir, 'segmentation')
    path = f'{srun.parent}:{ENV["PATH"]}'
    text = output(begin('slurm_train.sh', 'part', 'a name', config, *flags('segmentation', 2), '--work-dir', 'run',
                        PATH=path, GPUS=2, CPUS_PER_TASK=3, SRUN_ARGS='--quotatype=spot --time=10'))
    arguments = (run_dir / 'srun_arguments').read_text().splitlines()
    assert arguments[:2] == ['-p', 'part']
    assert {'--job-name=a name', '--gres=gpu:2', '--ntasks=2', '--ntasks-per-node=2', '--cpus-per-task=3', '--time=10',
            '--quotatype=spot'} <= set(arguments), arguments
    assert len(records(run_dir / 'run')) == 6, text


@pytest.mark.slow
def test_variables_of_open_mpi(run_dir):
    """Two processes with the variables that mpirun sets, without it.

    Slow: two processes that import the frameworks.
    """
    config = fixed_recipe(run_dir, 'segmentation')
    port = free_port()
    ranks = [begin('train.py', config, '--launcher', 'mpi', *flags('segmentation', 2), '--work-dir', 'run', MASTER_PORT=port,
                   OMPI_COMM_WORLD_RANK=rank, OMPI_COMM_WORLD_SIZE=2, OMPI_COMM_WORLD_LOCAL_RANK=rank,
                   OMPI_COMM_WORLD_LOCAL_SIZE=2) for rank in (0, 1)]
    for rank in ranks:
        output(rank)
    assert len(records(run_dir / 'run')) == 6


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which('mpirun'), reason='Open MPI is not installed')
def test_open_mpi(run_dir):
    """Two processes that Open MPI's mpirun itself starts.

    Slow: two processes that import the frameworks.
    """
    config = fixed_recipe(run_dir, 'segmentation')
    root = ENV | dict(OMPI_ALLOW_RUN_AS_ROOT='1', OMPI_ALLOW_RUN_AS_ROOT_CONFIRM='1', MASTER_PORT=str(free_port()))
    result = subprocess.run(['mpirun', '--oversubscribe', '-np', '2', sys.executable, str(ROOT / 'tools' / 'train.py'),
                             str(config), '--launcher', 'mpi', *flags('segmentation', 2), '--work-dir', 'run'],
                            env=root, text=True, capture_output=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    assert len(records(run_dir / 'run')) == 6
