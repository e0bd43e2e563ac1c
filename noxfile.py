"""The tests with other versions of Python, torch and OpenMMLab, each in a separate environment: `make test-stacks`.

And with packages of others that take our backbones: `make test-ecosystems`; with the runtimes of exported models:
`make test-runtimes`.

    nox --list
    nox -s torch2.6 onedl -- -k parity        # arguments of pytest after the dashes

Each environment keeps what it found in `.nox/NAME.json` and `.nox/NAME.xml`, from which docs/support_table.py writes the
table of docs/support.md.
"""
import json
import os
import platform
import shlex
import time
from pathlib import Path

import nox

ROOT, FOLDER = Path(__file__).parent, Path(__file__).parent / '.nox'
# name -> Python, arguments of pip, and in a few words what it is
ENVIRONMENTS = {
    'python3.10': ('3.10', ['-e', '.[openmmlab,test]'], 'newest versions'),
    'python3.11': ('3.11', ['-e', '.[openmmlab,test]'], 'newest versions'),
    'python3.12': ('3.12', ['-e', '.[openmmlab,test]'], 'newest versions'),
    'torch2.6': ('3.11', ['-e', '.[openmmlab,test]', 'torch==2.6.*', 'torchvision==0.21.*'], 'oldest torch'),
    'numpy1': ('3.10', ['-e', '.[openmmlab,test]', 'torch==2.6.*', 'torchvision==0.21.*', 'numpy<2'],
               'oldest Python and torch, numpy 1'),
    'onedl': ('3.11', ['-e', '.[onedl,test]'], 'the maintained forks'),
}
SHOWN = ('torch', 'numpy', 'mmengine', 'mmcv', 'mmdet', 'mmsegmentation', 'mmpretrain')  # packages with a column
os.environ.setdefault('PYENV_VERSION', '3.11:3.10:3.12')  # by which pyenv's `python3.10` is that one
nox.options.sessions = [*ENVIRONMENTS, 'plugin', 'torch_alone']
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_missing_interpreters = True


def _variables(session: nox.Session) -> dict[str, str]:
    """No Python path from outside, and a compiler cache for this environment alone."""
    return dict(PYTHONPATH='', TORCHINDUCTOR_CACHE_DIR=str(FOLDER / 'inductor' / session.name))


def _versions(session: nox.Session) -> dict[str, str]:
    listed = session.run('python', '-m', 'pip', 'list', '--format=json', '--disable-pip-version-check', silent=True)
    names = {f'{prefix}{name}{suffix}' for name in (*SHOWN, 'mmdetection') for prefix in ('', 'onedl-')
             for suffix in ('', '-lite')}
    return {entry['name']: entry['version'] for entry in json.loads(listed) if entry['name'] in names}


def _commit(session: nox.Session) -> str:
    """The commit that is tested, with a plus sign if files differ from it, but for those of the table."""
    commit = session.run('git', 'rev-parse', '--short', 'HEAD', external=True, silent=True).strip()
    changes = session.run('git', 'status', '--porcelain', '--', '.', ':(exclude)docs/support.md',
                          ':(exclude)docs/results/stacks.json', external=True, silent=True)
    return commit + '+' * bool(changes.strip())


def _test(session: nox.Session) -> None:
    """Install an environment, run the tests in it, and note what they were run with."""
    name = session.name
    python, requirements, what = ENVIRONMENTS[name]
    record, report = FOLDER / f'{name}.json', FOLDER / f'{name}.xml'
    record.unlink(missing_ok=True)
    report.unlink(missing_ok=True)
    session.install(*requirements)
    arguments = session.posargs or ['-m', 'not slow']
    version = session.run('python', '-c', 'import platform; print(platform.python_version())', silent=True).strip()
    found = dict(name=name, what=what, python=version, packages=_versions(session), cores=os.cpu_count(),
                 machine=platform.machine(), tests=shlex.join(arguments), commit=_commit(session))
    start = time.monotonic()
    try:
        session.run('python', '-m', 'pytest', f'--junitxml={report}', *arguments, env=_variables(session))
    finally:
        found['minutes'] = round((time.monotonic() - start) / 60, 1)
        record.write_text(json.dumps(found, indent=1), encoding='utf-8')


for _name, (_python, _, _what) in ENVIRONMENTS.items():
    nox.session(_test, python=_python, name=_name)


def _wheel(session: nox.Session, folder: str) -> Path:
    """Our wheel, built into a folder."""
    session.run('python', '-m', 'pip', 'wheel', '--no-deps', '-q', '-w', folder, str(ROOT))
    return max(Path(folder).glob('mvit3_bench-*.whl'), key=lambda file: file.stat().st_mtime)


@nox.session(python='3.11')
@nox.parametrize('extra', ['openmmlab', 'onedl'])
def plugin(session: nox.Session, extra: str) -> None:
    """The wheel in an empty folder: stock models of the frameworks train and predict with our backbones."""
    folder = session.create_tmp()
    wheel = _wheel(session, folder)
    session.install(f'{wheel}[{extra}]', 'pytest')
    session.install('--force-reinstall', '--no-deps', str(wheel))
    session.chdir(folder)
    session.run('python', '-m', 'pytest', str(ROOT / 'tests' / 'mmlab' / 'test_plugin.py'), '-k',
                'framework_alone or compat_before or compiled_mmcv or all_frameworks', *session.posargs,
                env=_variables(session))


@nox.session(python='3.11')
def torch_alone(session: nox.Session) -> None:
    """The models with torch, torchvision and nothing else."""
    session.install('.', '--force-reinstall', '--no-deps')
    session.install('torch>=2.6', 'torchvision>=0.21', 'numpy')
    session.chdir(session.create_tmp())
    session.run('python', str(ROOT / 'tests' / 'torch_only_process.py'), '.',
                'imports', 'archs', 'cls_v1_xxs', 'cls_v3_0.5', 'fused', 'traced', 'features', 'exported',
                env=_variables(session))


@nox.session(python='3.11')
@nox.parametrize('extra', ['onnx', 'openvino', 'litert', 'executorch', 'ncnn', 'coreml'])
def runtimes(session: nox.Session, extra: str) -> None:
    """Every test of a format, the slow ones, too, with what its extra installs; -rs names what is skipped."""
    session.install('-e', f'.[openmmlab,test,{extra}{",int8" * (extra == "openvino")}]')
    session.run('python', '-m', 'pip', 'freeze')
    session.run('python', '-m', 'pytest', '-rs', 'tests/deploy', '-k', extra, *session.posargs, env=_variables(session))


# Packages that take our backbones, apart from each other: name -> arguments of pip, one call after the other
ECOSYSTEMS = {
    'timm': [['timm==1.0.*', 'segmentation-models-pytorch==0.6.*', 'transformers==5.*', 'scipy']],
    'ultralytics': [['ultralytics==8.4.*', 'onnx', 'onnxslim', 'onnxruntime']],
    # mmyolo wants an older mmcv; mmpose declares chumpy, which cannot be built; and none of them is made for today's numpy
    'openmmlab': [['mmengine==0.10.7', 'mmcv-lite==2.0.1', 'mmdet==3.3.0', 'numpy<2', 'opencv-python<4.12', 'setuptools<81',
                   'json_tricks', 'munkres', 'xtcocotools', 'scipy', 'prettytable'],
                  ['--no-deps', 'mmpose==1.3.2', 'mmyolo==0.6.0', 'mmrotate-dev==1.0.1']],
}


@nox.session(python='3.11')
@nox.parametrize('ecosystem', list(ECOSYSTEMS))
def ecosystems(session: nox.Session, ecosystem: str) -> None:
    """The wheel in an empty folder: packages of others build, train and predict with our backbones."""
    folder = session.create_tmp()
    wheel = _wheel(session, folder)
    first, *others = ECOSYSTEMS[ecosystem]
    session.install(*first, str(wheel), 'pytest')
    session.install('--force-reinstall', '--no-deps', str(wheel))
    for requirements in others:
        session.install(*requirements)
    session.chdir(folder)
    session.run('python', '-m', 'pip', 'freeze')
    session.run('python', '-m', 'pytest', '-v', '-rs', str(ROOT / 'tests' / 'ecosystems'), *session.posargs,
                env=_variables(session) | dict(CI='', YOLO_AUTOINSTALL='false'))  # not all frameworks are in one of these
