"""The command mvit3: its help, its errors, configs by name, and that its parsers need neither torch nor MMEngine."""
import errno
import importlib
import logging
import os
import pickle
import re
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import ROOT
from torch._utils import ExceptionWrapper

from mvit3_bench.cli import common, main
from mvit3_bench.engine import config_files
from mvit3_bench.engine.config_files import find_config
from mvit3_bench.errors import (
    CheckpointError,
    MissingFileError,
    UnreadableSample,
    UsageError,
    WriteError,
    message_of,
    user_errors,
)

HEAVY = ('torch', 'torchvision', 'numpy', 'mmengine', 'mmcv', 'mmdet', 'mmseg', 'mmpretrain', 'cv2', 'matplotlib')
# file of tools/ -> the command it is
TOOLS = dict(train='train', test='test', benchmark='benchmark', convert_checkpoint='convert',
             convert_coco_to_voc='coco-to-voc', demo='demo', doctor='doctor', evaluate_all='evaluate', export='export',
             gallery='gallery', get_flops='flops', make_mini_data='mini-data', plot_curves='plot', reproduce='reproduce',
             suite='suite')


def process(code: str, folder: Path) -> subprocess.CompletedProcess:
    """Run Python code in a process of its own."""
    return subprocess.run([sys.executable, '-c', code], cwd=folder, env=dict(os.environ, PYTHONPATH=str(ROOT)), text=True,
                          capture_output=True)


def call(capsys, *words) -> tuple[int, str]:
    """Run the command in this process: exit code and what it printed."""
    try:
        main.main([*map(str, words)])
        code = 0
    except SystemExit as error:
        code = error.code or 0
        if isinstance(code, str):
            print(code, file=sys.stderr)
            code = 1
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_help_lists_commands_in_groups(capsys):
    """Each command stands with a line of its own below its group."""
    code, output = call(capsys, '--help')
    assert code == 0
    lines = output.splitlines()
    for title, commands in main.GROUPS.items():
        start = lines.index(f'{title}:')
        assert [line.split()[0] for line in lines[start + 1:start + 1 + len(commands)]] == list(commands)
        assert all(len(line.split()) > 3 for line in lines[start + 1:start + 1 + len(commands)])
    assert max(map(len, lines)) <= 140


@pytest.mark.parametrize('name', main.COMMANDS)
def test_help_of_command(name, capsys):
    """What it does, its flags, and an example that begins with the command."""
    code, output = call(capsys, name, '--help')
    assert code == 0 and output.startswith(f'usage: mvit3 {name} ')
    assert importlib.import_module(f'mvit3_bench.cli.{main.COMMANDS[name]}').__doc__ in output
    assert f'example:\n  mvit3 {name} ' in output


@pytest.mark.parametrize('tool, name', TOOLS.items())
def test_tool_is_a_command(tool, name, monkeypatch, capsys):
    """A file of tools/ has the flags of its command, and names itself in the example."""
    import runpy
    monkeypatch.setattr(sys, 'argv', [f'{tool}.py', '--help'])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(ROOT / 'tools' / f'{tool}.py'), run_name='__main__')
    shown = capsys.readouterr().out
    assert not end.value.code and shown.startswith(f'usage: {tool}.py ') and f'python tools/{tool}.py' in shown
    _, wanted = call(capsys, name, '--help')

    def options(text):
        return text.partition('\npositional arguments:')[2].partition('\nexample:')[0] or text.partition(
            '\noptions:')[2].partition('\nexample:')[0]
    assert options(shown) == options(wanted) != ''


def test_page_of_commands():
    """docs/cli.md has a row for each command, with the file of tools/ that is the same."""
    page = (ROOT / 'docs' / 'cli.md').read_text(encoding='utf-8')
    rows = re.findall(r'^\| `mvit3 (\S+)` \| (?:`(\S+)\.py`)? *\|', page, re.MULTILINE)
    assert [name for name, _ in rows] == list(main.COMMANDS)
    assert {tool: name for name, tool in rows if tool} == TOOLS


def test_every_tool_is_covered():
    """No other Python file lies in tools/."""
    assert {path.stem for path in (ROOT / 'tools').glob('*.py')} == set(TOOLS)


@pytest.mark.parametrize('word, near', [('trian', 'train'), ('config', 'configs'), ('export-model', 'export'),
                                        ('mini_data', 'mini-data')])
def test_unknown_command(word, near, capsys):
    """A word that is no command: exit code 2, and the nearest commands."""
    code, output = call(capsys, word, 'x')
    assert code == 2
    assert f'no command {word!r}' in output and f'did you mean: {near}' in output


def test_help_on_a_command(capsys):
    """As with --help behind it."""
    code, output = call(capsys, 'help', 'plot')
    assert not code and output.startswith('usage: mvit3 plot ')


@pytest.mark.parametrize('words, message', [
    (['mini-data', 'coco', '--root', 'file/x'], 'file'), (['plot', '.', 'curve'], 'curve is no picture that can'),
    (['gallery', 'all.pdf', '--model', 'cls/mvit3_s_in1k', 'none'], 'OpenCV writes no picture of this suffix: all.pdf')])
def test_places_that_cannot_be_written(tmp_path, monkeypatch, capsys, words, message):
    """An error in a line, before any work."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'file').touch()
    code, output = call(capsys, *words)
    assert code == 1 and re.search(f'^error: .*{message}', output, re.MULTILINE)


def test_output_that_nobody_reads():
    """A reader such as head may have enough; another pipe that breaks is an error like any."""
    command = f'{sys.executable} -m mvit3_bench.cli configs | true; exit ${{PIPESTATUS[0]}}'
    done = subprocess.run(['bash', '-c', command], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (1, '')
    done = subprocess.run(['bash', '-c', command.replace('configs', '--help')], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (1, '')

    def work(args):
        raise BrokenPipeError('of another process')
    with pytest.raises(BrokenPipeError, match='of another process'):
        common.run(SimpleNamespace(__doc__='', EXAMPLE='', add_arguments=lambda parser: None, main=work), 'x', argv=[])


@pytest.mark.parametrize('package, install', [('mmengine.config', r"mmengine.*: pip install -e '\.\[openmmlab\]'"),
                                              ('tabulate', 'tabulate.*: pip install tabulate')])
def test_missing_package(monkeypatch, package, install):
    """A package that is not installed is named with the line that installs it; one that is there and breaks is an error."""
    def work(args):
        raise ModuleNotFoundError(f'No module named {package!r}', name=package)
    command = SimpleNamespace(__doc__='', EXAMPLE='', add_arguments=lambda parser: None, main=work)
    with pytest.raises(ModuleNotFoundError):
        common.run(command, 'x', argv=[])
    monkeypatch.setattr(common, 'find_spec', lambda name: None)
    with pytest.raises(SystemExit, match=f'^error: this command needs {install}$'):
        common.run(command, 'x', argv=[])
    package = 'my_helpers'  # of the user's: anybody may hold this name in an index
    with pytest.raises(ModuleNotFoundError):
        common.run(command, 'x', argv=[])


def test_no_command(capsys):
    """Without a command the help is shown, and the exit code is 2; far from all commands, all are named."""
    code, output = call(capsys)
    assert code == 2 and 'Train and test:' in output
    code, output = call(capsys, 'qqqq')
    assert code == 2 and all(name in output for name in main.COMMANDS)


def test_parsers_need_no_framework(tmp_path):
    """Building every parser, and reading a command line with overrides, imports neither torch nor MMEngine."""
    done = process(f'''
import importlib, sys
from mvit3_bench.cli import common, main
main.usage()
for name, module in main.COMMANDS.items():
    parser = common.build_parser(importlib.import_module(f'mvit3_bench.cli.{{module}}'), f'mvit3 {{name}}')
    parser.format_help()
    if name == 'train':
        args = parser.parse_args(['c', '--cfg-options', 'a=1', 'b=2', '--cfg-options', 'c=3'])
        assert args.cfg_options == ['a=1', 'b=2', 'c=3']
print([name for name in {HEAVY!r} if name in sys.modules])
''', tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == '[]'


def test_choices_are_those_of_the_modules():
    """Choices that the parsers repeat, so as not to import torch, are those of what the commands call."""
    from mvit3_bench.benchmark import backends, baselines
    from mvit3_bench.cli import benchmark, convert, export, mini_data, reproduce
    from mvit3_bench.converters import identify
    from mvit3_bench.datasets.mini import MAKERS
    from mvit3_bench.deploy.targets import TARGETS
    from mvit3_bench.paper import tables
    from mvit3_bench.results import store
    from mvit3_bench.results.evaluation import SUFFIXES as CHECKPOINTS
    assert [*benchmark.BACKENDS, 'kernels'] == list(backends.BACKENDS) and list(benchmark.DTYPES) == list(backends.DTYPES)
    assert list(benchmark.BASELINES) == list(baselines.BASELINES)
    assert convert.TASKS == identify.TASKS
    assert list(reproduce.TABLES) == list(tables.TABLES) and list(reproduce.NUMBERS) == list(tables.NUMBERS)
    assert store.FOLDER.as_posix() == common.RESULTS

    def choices(module, dest):
        return next(action.choices for action in common.build_parser(module, '')._actions if action.dest == dest)
    assert list(choices(export, 'to')) == [*TARGETS, 'web']
    assert choices(mini_data, 'format') == [*MAKERS, 'all']
    evaluate = importlib.import_module('mvit3_bench.cli.evaluate')
    assert ', '.join(CHECKPOINTS) in common.build_parser(evaluate, '').format_help()


# ------------------------------------------------------------------------------------------------ configs by name
@pytest.mark.parametrize('name', [
    'deeplabv3_mvit3_1.0_ade20k', 'deeplabv3_mvit3_1.0_ade20k.py', 'seg/deeplabv3_mvit3_1.0_ade20k',
    'configs/seg/deeplabv3_mvit3_1.0_ade20k.py'])
def test_config_by_name(name, tmp_path, monkeypatch):
    """From any folder a config of this package is found by its name, with or without folder and suffix."""
    monkeypatch.chdir(tmp_path)
    assert Path(find_config(name)).resolve() == ROOT / 'configs' / 'seg' / 'deeplabv3_mvit3_1.0_ade20k.py'


def test_file_comes_first(tmp_path, monkeypatch):
    """A file at the path is taken, whatever its name."""
    monkeypatch.chdir(tmp_path)
    Path('mvit3_s_in1k.py').touch()
    assert find_config('mvit3_s_in1k.py') == 'mvit3_s_in1k.py'


def test_name_in_two_folders(tmp_path, monkeypatch):
    """A name that exists twice lists both; with its folder it is one."""
    for folder in ('cls', 'study'):
        (tmp_path / 'configs' / folder).mkdir(parents=True)
        (tmp_path / 'configs' / folder / 'same.py').touch()
    monkeypatch.setattr(config_files, 'MIM', tmp_path)
    with pytest.raises(UsageError, match='same is in 2 folders: cls/same, study/same') as error:
        find_config('same')
    assert error.value.where == 'same' and error.value.fix
    assert find_config('study/same') == str(tmp_path / 'configs' / 'study' / 'same.py')


def test_unknown_name(tmp_path, monkeypatch):
    """A name that does not exist lists the nearest, the very nearest first; other files beside it are none of them."""
    monkeypatch.chdir(tmp_path)
    Path('noxfile.py').touch()
    with pytest.raises(UsageError, match='config not found: deeplabv3_mvit3_1.0_ade2k') as error:
        find_config('deeplabv3_mvit3_1.0_ade2k')
    assert error.value.fix.startswith('there are: seg/deeplabv3_mvit3_1.0_ade20k, ')


def test_bases_are_no_configs(tmp_path, monkeypatch):
    """Parts that configs are made of cannot be named."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match='not found'):
        find_config('runtime')


def test_list_of_configs(capsys):
    """All configs, or those of a pattern, with the published figure, parameters and multiply-adds."""
    code, output = call(capsys, 'configs', 'seg/*mvit3_1.0*')
    assert code == 0
    names = [line.split()[0] for line in output.splitlines()[1:]]
    assert names == [f'seg/{head}_mvit3_1.0_{data}' for head in ('deeplabv3', 'pspnet') for data in ('ade20k', 'voc2012')]
    row = next(line for line in output.splitlines() if line.startswith('seg/deeplabv3_mvit3_1.0_ade20k'))
    assert row.split()[1:3] == ['mIoU', '39.13'] and row.split()[4::2] == ['M', 'M']
    assert call(capsys, 'configs', 'mvit3_xxs_imagenette128')[1].splitlines()[-1].split()[1] == '-'
    code, output = call(capsys, 'configs')
    assert code == 0 and len(output.splitlines()) == 1 + len(config_files.config_files())


def test_pattern_of_nothing(capsys):
    """A pattern that no config matches is an error."""
    code, output = call(capsys, 'configs', 'mvit9')
    assert code == 1 and "no config matches 'mvit9'" in output


def test_option_without_value(capsys):
    """A word of --cfg-options that sets nothing is named."""
    code, output = call(capsys, 'train', 'mvit3_s_in1k', '--cfg-options', 'model.head')
    assert code == 2 and "'model.head' is not KEY=VALUE" in output


# ------------------------------------------------------------------------------------------------ errors
def test_errors_have_fields():
    """Found, where and fix; the text is the sentence with the fix behind it; all of it survives a worker process."""
    for kind in (UsageError, MissingFileError, CheckpointError, UnreadableSample):
        error = pickle.loads(pickle.dumps(kind('a.png is cut off', Path('a.png'), 'repair it')))
        assert type(error) is kind and str(error) == 'a.png is cut off; repair it'
        assert (error.found, error.where, error.fix) == ('a.png is cut off', 'a.png', 'repair it')
    assert str(UsageError('two lines', fix='below', joint='\n  ')) == 'two lines\n  below'
    assert str(UsageError('no fix')) == 'no fix'
    error = pickle.loads(pickle.dumps(WriteError('x/a.pth', OSError(errno.ENOENT, 'no folder'))))
    assert str(error).startswith('cannot write x/a.pth: no folder\n  fix that') and error.where == 'x/a.pth'


def test_user_errors_keep_fields():
    """An error of ours stays what it is; another becomes the user's."""
    with pytest.raises(CheckpointError) as error, user_errors(RuntimeError):
        raise CheckpointError('x.pth is damaged', 'x.pth', 'fetch it again')
    assert (error.value.where, error.value.fix) == ('x.pth', 'fetch it again')
    assert str(error.value) == 'x.pth is damaged; fetch it again'
    with pytest.raises(UsageError, match='^type is missing$'), user_errors(KeyError):
        raise KeyError('type is missing')


def test_error_of_a_worker():
    """Of an error that a data loader's worker wraps in its traceback, the message is shown."""
    try:
        raise UnreadableSample('a.png is cut off', 'a.png', 'repair it')
    except UnreadableSample:
        wrapped = ExceptionWrapper()
    with pytest.raises(UnreadableSample) as error:
        wrapped.reraise()
    assert message_of(error.value) == 'a.png is cut off; repair it'


# ------------------------------------------------------------------------------------------------ running
@pytest.mark.parametrize('config, absent', [('mvit3_xxs_in1k', ('mmdet', 'mmseg')),
                                            ('deeplabv3_mvit3_0.5_voc2012', ('mmdet', 'mmpretrain'))])
def test_flops_needs_one_framework(config, absent, tmp_path):
    """The multiply-adds of a config are counted where only its own framework can be imported."""
    pytest.importorskip('mmseg' if config.startswith('deeplab') else 'mmpretrain')
    done = process(f'''
import sys
sys.modules.update(dict.fromkeys({absent!r}))
from mvit3_bench.cli import main
main.main(['flops', {config!r}])
assert all(sys.modules.get(name) is None for name in {absent!r})
''', tmp_path)
    assert done.returncode == 0, done.stderr
    assert f'{config}.py: one image of ' in done.stdout and '\ntotal ' in done.stdout
    assert 'not available' not in done.stdout + done.stderr


def test_names_do_not_steer_the_terminal(capfd, monkeypatch):
    """Control characters, and bytes that are no text, in names of others: escaped in logs, errors and tracebacks."""
    from mmengine.logging import MMLogger, print_log
    name = 'a\x1b[2Jb\udce9'

    def run(args):
        print_log(f'log\t{name}\nsecond line', logger='current')
        raise UsageError(name, fix='rename it', joint='\n') if args.known else RuntimeError(name)
    command = SimpleNamespace(__doc__='Try.', EXAMPLE='', main=run,
                              add_arguments=lambda parser: parser.add_argument('--known', action='store_true'))
    monkeypatch.setattr(sys, 'excepthook', sys.excepthook)
    monkeypatch.setattr(MMLogger, '_instance_dict', OrderedDict())
    before = logging.getLogRecordFactory()
    try:
        for words in (['--known'], []):
            with pytest.raises((SystemExit, RuntimeError)) as end:
                common.run(command, 'try', argv=words)
            print(end.value.code) if words else sys.excepthook(end.type, end.value, end.tb)
    finally:
        logging.setLogRecordFactory(before)
    output = ''.join(capfd.readouterr())
    escaped = 'a\\x1b[2Jb\\udce9'
    assert '\x1b[2J' not in output and 'Logging error' not in output
    assert f'log\t{escaped}\nsecond line' in output and f'error: {escaped}\nrename it' in output
    assert f'\nRuntimeError: {escaped}\n' in output and output.count(escaped) == 4
