"""Checkpoints are untrusted: hostile ones are refused by name, healthy ones of every origin load."""
import os
import re
import subprocess
import sys
from collections import Counter, OrderedDict
from random import Random

import numpy as np
import pytest
import torch
from conftest import ROOT
from faults import hostile, load_subprocess
from faults.crafted_files import KINDS, write
from faults.crafting import Made
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer

from mvit3_bench.checkpoints.io import check_fits, read_file, write_checkpoint
from mvit3_bench.errors import CheckpointError

WEIGHTS = load_subprocess.weights()
CLS = 'configs/cls/mvit3_xxs_in1k.py'
# What can be read, and is no model's weights all the same.
READABLE = {'a list', 'weights that are no tensors', 'weights that are complex', 'weights that are no numbers',
            'weights that are infinite', 'meta that is a list', 'folder', 'pipe', 'link to itself', 'endless device'}


@pytest.fixture(scope='module')
def seen(tmp_path_factory):
    """Every kind, each offered in a process of little memory: kind -> fault."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hostile, 'EVERY', len(KINDS) + 1)  # the command lines have a test of their own
        found = list(hostile.faults(tmp_path_factory.mktemp('hostile'), len(KINDS), seed=0))
    return {fault.kind.partition(': ')[2]: fault for fault in found}


@pytest.mark.parametrize('kind', KINDS)
def test_every_kind_is_refused_by_name(seen, kind):
    """Nothing runs, memory and time are bounded, the interpreter lives, the message names the file; in all ways to load."""
    assert seen[kind].outcome == 'survived', seen[kind].detail


@pytest.mark.parametrize('kind', [kind for kind in KINDS if kind not in READABLE])
def test_refused_for_what_it_is(tmp_path, kind):
    """The weights of these files fit: refusal is due to what is hostile, and comes from reading."""
    path = write(kind, tmp_path, WEIGHTS, Random(1))
    with pytest.raises(CheckpointError, match='read safely') as error:
        read_file(path)
    assert str(path) in str(error.value) and '\x1b' not in str(error.value)
    assert not (tmp_path / 'canary').exists()


@pytest.mark.parametrize('kind', ['call of os.system', 'tuple 200000 deep as a key', 'link to itself',
                                  'weights that are complex', 'safetensors: header of 2^62 bytes'])
@pytest.mark.parametrize('name', hostile.TOOLS)
def test_tools_refuse(run_dir, tool, name, kind):
    """Exit code 1, and the error names the file."""
    path = str(write(kind, run_dir, WEIGHTS, Random(0)))
    program, *rest = hostile.TOOLS[name](path)
    outcome = tool(program, *(ROOT / argument if argument == hostile.CONFIG else argument for argument in rest))
    assert outcome.code == 1 and path in outcome.output.rpartition('error: ')[2], outcome.output
    assert not (run_dir / 'canary').exists()


def test_kinds_are_hostile(tmp_path):
    """Without the safety, such a file runs: the canary sings."""
    path = write('call of os.system', tmp_path, WEIGHTS, Random(0))
    torch.load(path, weights_only=False)
    assert (tmp_path / 'canary').exists()


HEALTHY = {
    'numbers': [1, 2 ** 31 - 1, -5, 10 ** 30, 0.5, True, None, 'text', 'ünïcode', b'bytes', 1j],
    'containers': dict(a=(1, (2, 3)), b=[[], {}, ()], c={1, 2}, d=OrderedDict(x=1), e=Counter([1, 1]), f={0: {1: 2}}),
    'tensors': [torch.rand(3, 4).t(), torch.zeros(()), torch.zeros(0, 3), torch.arange(6)[2:4], torch.ones(1).half(),
                torch.ones(2, dtype=torch.bfloat16), torch.ones(2, dtype=torch.bool), torch.ones(3, dtype=torch.uint8),
                torch.arange(3).expand(2, 3), torch.nn.Parameter(torch.ones(2)), torch.ones(2, dtype=torch.complex64)],
    'torch': [torch.Size([1, 2]), torch.float16, torch.device('cpu'), torch.get_rng_state()],
    'numpy': [np.float64(1), np.arange(3), np.array([]), np.str_('x'), np.random.get_state()],
    'mmengine': [HistoryBuffer([1.0], [1]), ConfigDict(a=dict(b=[1]))],
    'state dict': torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm2d(3)).state_dict(),
    'optimiser': torch.optim.AdamW([torch.nn.Parameter(torch.ones(2))]).state_dict(),
}


def shown(value) -> str:
    """What a value is, but for where it is."""
    return re.sub(' at 0x[0-9a-f]+', '', repr(value))


@pytest.mark.parametrize('old_format', [False, True])
@pytest.mark.parametrize('name', HEALTHY)
def test_healthy_checkpoint_is_read(tmp_path, name, old_format):
    """What checkpoints hold comes back as torch itself reads it."""
    file = tmp_path / 'x.pth'
    value = dict(value=HEALTHY[name], weight=torch.ones(1000))
    torch.save(value, file, _use_new_zipfile_serialization=not old_format)
    found = read_file(file)
    assert shown(found) == shown(torch.load(file, weights_only=True)) and torch.equal(found['weight'], value['weight'])


def test_users_own_type_is_respected(tmp_path):
    """What the user has told torch to trust is read."""
    torch.save(dict(value=Trusted(3)), tmp_path / 'x.pth')
    with pytest.raises(CheckpointError, match='Trusted'):
        read_file(tmp_path / 'x.pth')
    with torch.serialization.safe_globals([Trusted]):
        assert read_file(tmp_path / 'x.pth')['value'].number == 3


class Trusted:

    def __init__(self, number):
        self.number = number


@pytest.mark.parametrize('meta', [None, dict(model='mvit3_xxs', dataset_meta=dict(classes=['a', 'b']))])
@pytest.mark.parametrize('suffix', ['pth', 'safetensors'])
def test_either_format_serves_every_load(tmp_path, suffix, meta):
    """load_from, init_cfg and MMEngine's own loader take safetensors like .pth; what is known of the weights comes along."""
    from mmengine.runner import load_checkpoint
    file = tmp_path / f'x.{suffix}'
    write_checkpoint(file, WEIGHTS, meta)
    load_subprocess.tool(str(file))
    load_subprocess.init_cfg(str(file))
    model = load_subprocess.Model()
    loaded = load_checkpoint(model, str(file), map_location='cpu')
    assert loaded.get('meta') == meta
    assert all(torch.equal(value, WEIGHTS[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize('suffix', ['pth', 'safetensors'])
def test_weights_alone_are_not_resumed(run_dir, tool, suffix):
    """A checkpoint without optimiser and epoch: what to do instead is said."""
    write_checkpoint(run_dir / f'x.{suffix}', WEIGHTS, dict(model='mvit3_xxs'))
    with pytest.raises(CheckpointError, match='weights only.*load_from'):
        check_fits(load_subprocess.Model(), run_dir / f'x.{suffix}', resume=True)
    outcome = tool('train', ROOT / CLS, '--mini', '--resume', f'x.{suffix}')
    assert outcome.code == 1 and f'error: x.{suffix} holds weights only' in outcome.output


def text_that_runs(folder) -> str:
    """A config, which is Python."""
    return f'open({str(folder / "canary")!r}, "w")\nmodel = dict(type="x")\n'


def test_resuming_runs_no_text(tmp_path):
    """`Runner.resume` runs `meta.config` of a checkpoint as Python: it does not come so far."""
    from test_compat_resume import make_runner
    make_runner(tmp_path, epochs=2).train()
    checkpoint = torch.load(tmp_path / 'epoch_2.pth', weights_only=True)
    checkpoint['meta']['config'] = text_that_runs(tmp_path)
    torch.save(checkpoint, tmp_path / 'epoch_2.pth')
    runner = make_runner(tmp_path, epochs=3, resume=True)
    runner.train()
    assert runner.epoch == 3 and not (tmp_path / 'canary').exists()


@pytest.mark.parametrize('place', ['meta', 'message_hub'])
@pytest.mark.parametrize('inferencer', ['mmdet.apis.DetInferencer', 'mmseg.apis.MMSegInferencer'])
def test_inferencer_runs_no_config_of_a_checkpoint(tmp_path, inferencer, place):
    """Without a config, MMEngine's inferencers run the one in the checkpoint: not with us."""
    from mmengine.utils import get_object_from_string
    text = text_that_runs(tmp_path)
    extra = dict(meta=dict(cfg=text)) if place == 'meta' else dict(message_hub=dict(runtime_info=dict(cfg=text)))
    torch.save(dict(state_dict=WEIGHTS, **extra), tmp_path / 'x.pth')
    with pytest.raises(CheckpointError, match=r'x\.pth.*pass a config'):
        get_object_from_string(inferencer)(None, weights=str(tmp_path / 'x.pth'), device='cpu')
    assert not (tmp_path / 'canary').exists()


def test_address_is_read_safely(tmp_path, monkeypatch):
    """MMEngine loads an address with `weights_only=False`: ours does not, also by the names of torchvision's models."""
    from functools import partial
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    from mmengine.runner import load_checkpoint
    from mmengine.runner.checkpoint import _load_checkpoint
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))
    (tmp_path / 'site').mkdir()
    bad = write('call of os.system', tmp_path / 'site', WEIGHTS, Random(0))
    write_checkpoint(tmp_path / 'site' / 'x.safetensors', WEIGHTS)
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / 'site'))
    with ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        site = f'http://127.0.0.1:{server.server_port}'
        with pytest.raises(CheckpointError, match=bad.name):
            _load_checkpoint(f'{site}/{bad.name}')
        monkeypatch.setattr('mmengine.runner.checkpoint.get_torchvision_models', lambda: dict(net=f'{site}/{bad.name}'))
        with pytest.raises(CheckpointError, match=bad.name):
            _load_checkpoint('torchvision://net')
        load_checkpoint(load_subprocess.Model(), f'{site}/x.safetensors', map_location='cpu', strict=True)
        server.shutdown()
    assert not (tmp_path / 'site' / 'canary').exists() and not (tmp_path / 'canary').exists()


def test_variable_that_turns_the_safety_off_is_ignored(tmp_path):
    """Also for loads that are neither ours nor MMEngine's; the log tells."""
    torch.save(Made(os.system, f'touch {tmp_path / "canary"}'), tmp_path / 'x.pth')
    code = f'import torch, mvit3_bench.compat\ntorch.load({str(tmp_path / "x.pth")!r})'
    env = dict(os.environ, TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD='1', PYTHONPATH=str(ROOT))
    done = subprocess.run([sys.executable, '-c', code], env=env, capture_output=True, text=True)
    assert done.returncode == 1 and 'UnpicklingError' in done.stderr and not (tmp_path / 'canary').exists()
    assert 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD is ignored' in done.stdout + done.stderr


def test_switch_that_leaves_other_loads_alone():
    """A program that imports the plugin can keep MMEngine's own way to a checkpoint."""
    code = ('import mvit3_bench.compat\nfrom mmengine.runner import CheckpointLoader\n'
            "print(CheckpointLoader._schemes[''].__module__)")
    env = dict(os.environ, MVIT3_BENCH_LOADERS='0', PYTHONPATH=str(ROOT))
    done = subprocess.run([sys.executable, '-c', code], env=env, text=True, capture_output=True, check=True)
    assert done.stdout.split()[-1] == 'mmengine.runner.checkpoint'
