"""Fixtures: a folder to run in, with the miniature data already drawn, and the tools as functions."""
import json
import os
import runpy
import shutil
import subprocess
import sys
from collections import Counter, namedtuple
from importlib.util import find_spec
from pathlib import Path

if workers := os.environ.get('PYTEST_XDIST_WORKER_COUNT'):
    # as many threads as cores over all workers, set before torch starts its own: more of them wait for each other
    os.environ.setdefault('OMP_NUM_THREADS', str(max(1, os.cpu_count() // int(workers))))

import pytest  # noqa: E402
from filelock import FileLock  # noqa: E402

ROOT = Path(__file__).parents[1]
CONFIGS = sorted(path for path in (ROOT / 'configs').rglob('*.py') if '_base_' not in path.parts)
TASKS = dict(classification='cls/mvit3_xxs_in1k.py', detection='det/ssdlite_mvit3_xxs_coco.py',
             segmentation='seg/deeplabv3_mvit3_0.5_ade20k.py')
# of packages that `make test-ecosystems` has environments for: collected where one is installed
collect_ignore = [f'ecosystems/test_{name}.py' for name, package in dict(
    smp='segmentation_models_pytorch', transformers='transformers', ultralytics='ultralytics').items()
    if find_spec(package) is None]
Outcome = namedtuple('Outcome', 'code output')


def pytest_configure():
    """Where CI is set, a framework that is missing fails the run; elsewhere its tests are skipped."""
    frameworks = ('mmengine', 'mmcv', 'mmdet', 'mmseg', 'mmpretrain', 'timm', 'onnx', 'onnxruntime', 'openvino')
    if os.environ.get('CI') and (missing := [name for name in frameworks if find_spec(name) is None]):
        pytest.exit(f'CI is set, but {", ".join(missing)} cannot be imported', returncode=1)


def pytest_report_header():
    """How many configs the tests go through."""
    folders = Counter(path.parent.name for path in CONFIGS)
    return f'configs: {len(CONFIGS)} files in configs/ ({", ".join(f"{name} {count}" for name, count in folders.items())})'


@pytest.fixture(scope='session')
def shared(tmp_path_factory):
    """A folder for what is made once for all workers."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if 'PYTEST_XDIST_WORKER' in os.environ else base) / 'shared'
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope='session')
def mini_data(shared):
    """The miniature data sets, each drawn once."""
    from mvit3_bench.datasets.mini import FOLDERS, MAKERS
    root = shared / 'mini'
    with FileLock(shared / 'mini.lock'):
        if not root.exists():
            for name, make in MAKERS.items():
                make(shared / 'drawn' / FOLDERS[name])
            (shared / 'drawn').rename(root)
    return root


@pytest.fixture(scope='session')
def weights(tmp_path_factory):
    """Task -> a config and a checkpoint of its untrained model."""
    import mvit3_bench.compat  # noqa: F401, I001  before mmdet
    import torch
    from mmengine.config import Config
    from mmengine.registry import MODELS, init_default_scope
    folder, found = tmp_path_factory.mktemp('weights'), {}
    for task, name in TASKS.items():
        found[task] = ROOT / 'configs' / name, folder / f'{task}.pth'
        cfg = Config.fromfile(found[task][0])
        init_default_scope(cfg.default_scope)
        torch.manual_seed(0)
        torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict()), found[task][1])
    return found


@pytest.fixture
def fidelity(record_property):
    """Note in the test's report what it compares with the published training: ``docs/fidelity.md`` is made of these notes.

    ``fidelity('learning rate', 'coco_v1type', 'coco_v2type', measured='1e-17')``; ``differs='D13'`` where the comparison
    measures a difference on purpose, by its key in :mod:`mvit3_bench.paper.fidelity`.
    """
    def note(item: str, *recipes: str, measured: str, differs: str | None = None) -> None:
        for recipe in recipes:
            record_property('fidelity', json.dumps(dict(item=item, recipe=recipe, measured=measured, differs=differs)))
    return note


@pytest.fixture
def run_dir(tmp_path, mini_data, monkeypatch):
    """An empty folder as the current one, where ``--mini`` finds its data drawn."""
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data' / 'mini').symlink_to(mini_data)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def subclasses(cls):
    """All classes derived from one, the indirect ones too."""
    for child in cls.__subclasses__():
        yield child
        yield from subclasses(child)


@pytest.fixture
def tool(monkeypatch, capfd):
    """Run a tool in this process: ``tool('train', config, '--mini')`` -> exit code and what it printed."""
    import mvit3_bench.compat  # noqa: F401, I001  before mmseg
    from mmengine.utils import ManagerMixin

    def call(name: str, *args) -> Outcome:
        monkeypatch.setattr(sys, 'argv', [name, *map(str, args)])
        code = 0
        for manager in subclasses(ManagerMixin):
            manager._instance_dict.clear()  # each run stands for a process of its own
        try:
            runpy.run_path(str(ROOT / 'tools' / f'{name}.py'), run_name='__main__')
        except SystemExit as error:  # sys.exit(message) means: print it to stderr and exit with 1
            code = error.code if isinstance(error.code, int) or error.code is None else 1
            if isinstance(error.code, str):
                print(error.code, file=sys.stderr)
        captured = capfd.readouterr()
        return Outcome(code, captured.out + captured.err)
    return call


def short(config: Path) -> list[str]:
    """--cfg-options of the shortest training of a config: two iterations, a validation, a checkpoint."""
    parts = ('datasets.0', 'datasets.1') if 'voc2012' in config.stem else ()
    return ['train_dataloader.batch_size=4', 'train_cfg.max_epochs=1', 'train_cfg.val_interval=1', 'randomness.seed=3',
            *(f'train_dataloader.dataset.{part}.indices=4' for part in parts),
            *([] if parts else ['train_dataloader.dataset.indices=8']),
            *(f'{loader}_dataloader.dataset.indices=4' for loader in ('val', 'test'))]


@pytest.fixture
def trained(run_dir, tool, shared):
    """A short run of a config, trained once for all tests: ``trained(config)`` -> ``run``, a copy of its work dir."""
    kept = shared / 'trained'

    def call(config: Path) -> Path:
        kept.mkdir(exist_ok=True)
        run = run_dir / 'run'
        with FileLock(kept / f'{config.stem}.lock'):
            if not (kept / config.stem).exists():
                outcome = tool('train', config, '--mini', '--work-dir', run, '--cfg-options', *short(config))
                assert outcome.code == 0, outcome.output
                shutil.copytree(run, kept / config.stem)
        shutil.copytree(kept / config.stem, run, dirs_exist_ok=True)
        (run / 'last_checkpoint').write_text(str(run / 'epoch_1.pth'))
        return run
    return call


@pytest.fixture
def metrics_of(run_dir, tool):
    """Train a config to the end of its miniature form, and test the best checkpoint: config -> metrics."""
    def call(config: Path) -> dict:
        outcome = tool('train', config, '--mini', '--work-dir', 'run', '--cfg-options', 'randomness.seed=0')
        assert outcome.code == 0, outcome.output
        outcome = tool('test', config, 'run', '--mini', '--out', 'out')
        assert outcome.code == 0, outcome.output
        return json.loads((run_dir / 'out' / 'metrics.json').read_text())
    return call


def start(*args, **kwargs) -> subprocess.Popen:
    """Start a tool as a process of its own."""
    name, *rest = map(str, args)
    env = dict(os.environ, PYTHONPATH=str(ROOT))
    return subprocess.Popen([sys.executable, str(ROOT / 'tools' / f'{name}.py'), *rest], env=env, text=True,
                            **dict(dict(stdout=subprocess.PIPE, stderr=subprocess.STDOUT), **kwargs))
