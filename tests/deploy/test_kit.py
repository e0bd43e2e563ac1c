"""The folder for a phone: with stand-ins for adb and for the runners, which compute in the runtimes of this machine."""
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from backbones import build
from test_deploy import lived_in

from mvit3_bench.benchmark.report import markdown
from mvit3_bench.cli import device, main
from mvit3_bench.deploy.kit import run
from mvit3_bench.deploy.kit.read import read_results
from mvit3_bench.deploy.kit.write import write_kit
from mvit3_bench.deploy.targets import TARGETS, require
from mvit3_bench.errors import ResultError, UsageError

ROOT = str(Path(run.__file__).parents[3])
# takes the flags of benchmark_model, executor_runner and benchncnn and prints what they print
RUNNER = '''#!{python}
import sys, time
from pathlib import Path
import numpy as np
flags = dict(word.lstrip('-').split('=', 1) for word in sys.argv[1:] if '=' in word)
name = Path(sys.argv[0]).name
if 'broken' in flags:
    sys.exit('no such operator')
model = flags.get('graph') or flags.get('model_path') or flags['param']
if model.endswith('.onnx'):
    import onnxruntime
    session = onnxruntime.InferenceSession(model)
    call = lambda images: session.run(None, dict(images=images))
else:
    import torch
    sys.path.insert(0, {root!r})
    from mvit3_bench.deploy.targets import TARGETS
    target, = (each for each in TARGETS.values() if each.suffix == Path(model).suffix)
    call = lambda images, load=target.load(Path(model)).call: load(torch.from_numpy(images))
data = flags.get('input_layer_value_files', flags.get('inputs', '')).rpartition(':')[2]
images = np.fromfile(data, np.float32).reshape(1, 3, 64, 64) if data else np.zeros((1, 3, 64, 64), np.float32)
times = []
for _ in range(4):
    start = time.perf_counter()
    outputs = [np.float32(each) + float(flags.get('off', 0)) for each in call(images)]
    times.append((time.perf_counter() - start) * 1e3)
if name == 'benchmark_model':
    Path(flags['output_filepath']).write_bytes(b''.join(each.astype('<f4').tobytes() for each in outputs))
    print('INFO: count=1 first=99000000 curr=9 min=9 max=9 avg=99000000 std=0 p5=9 median=99000000 p95=9')
    us = np.array(times[1:]) * 1e3
    print(f'INFO: count=3 first=1 curr=1 min=1 max=2 avg={{us.mean()}} std=1 p5=1 median={{np.median(us)}} p95=2')
    print(f'INFO: Inference timings in us: Init: 1, First inference: 1, Warmup (avg): 1, Inference (avg): {{us.mean()}}')
elif name == 'executor_runner':
    for index, each in enumerate(outputs):
        Path(f'{{flags["output_file"]}}-{{index}}.bin').write_bytes(each.astype('<f4').tobytes())
    for index, each in enumerate(times):
        print(f'I 00:00:00.1 executorch:executor_runner.cpp:1] Iteration {{index + 1}} of 4: {{each:f}} ms', file=sys.stderr)
else:
    print(f'{{model:>20}}  min = {{min(times):7.2f}}  max = {{max(times):7.2f}}  avg = {{np.mean(times):7.2f}}',
          file=sys.stderr)
'''
# the phone is a folder
ADB = '''#!/bin/sh
if [ "$1" = -s ]; then shift 2; fi
case "$1" in
  push) cp "$2" "$PHONE$3" ;;
  pull) cp "$PHONE$2" "$3" ;;
  shell) sh -c "$(printf %s "$2" | sed "s#/data/local/tmp#$PHONE/data/local/tmp#g")" ;;
esac
'''
GETPROP = '#!/bin/sh\ncase "$1" in *model) echo "Telephone 3";; *release) echo 16;; esac\n'


def program(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o755)
    return file


@pytest.fixture(scope='module')
def kit(tmp_path_factory) -> Path:
    """A backbone in ONNX, as if it were of LiteRT and of ExecuTorch: its runners are those above."""
    folder = tmp_path_factory.mktemp('kit')
    model = lived_in(build('v3', 'xxs', out_indices=(1, -1)))
    content = write_kit(model, (64, 64), ['onnx'], folder, name='tiny', note='test')
    model, = content['models']
    content['models'] = [dict(model, target=target, name=f'tiny, {target}') for target in run.RUNNERS]
    (folder / 'kit.json').write_text(json.dumps(content))
    for name in ('benchmark_model', 'executor_runner', 'benchncnn'):
        program(folder / 'runners' / name, RUNNER.format(python=sys.executable, root=ROOT))
    return folder


def results(kit: Path, *words) -> dict:
    """Run the script of a kit, as a phone's owner does, without this package."""
    done = subprocess.run([sys.executable, '-I', str(kit / 'run.py'), '--rounds', '2', '--rest', '0', *map(str, words)],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((kit / 'results.json').read_text())


def test_on_a_phone(kit, tmp_path, monkeypatch):
    """By adb: latency, spread and difference of each runner, in the form of the benchmark's tables."""
    pytest.importorskip('onnxruntime')
    program(tmp_path / 'bin' / 'adb', ADB)
    program(tmp_path / 'bin' / 'getprop', GETPROP)
    (tmp_path / 'phone' / 'data' / 'local' / 'tmp').mkdir(parents=True)
    monkeypatch.setenv('PHONE', str(tmp_path / 'phone'))
    monkeypatch.setenv('PATH', str(tmp_path / 'bin'), prepend=':')
    names = dict(litert='benchmark_model', executorch='executor_runner', ncnn='benchncnn')
    content = results(kit, *(f'--runner={target}={kit}/runners/{name}' for target, name in names.items()), '--serial', 'x')
    found = {each['mode']: each for each in content['contenders']}
    assert list(found) == list(names) and content['skipped'] == []
    assert all(found[target]['deviation'] < 1e-4 for target in ('litert', 'executorch'))
    assert found['ncnn']['deviation'] is None  # benchncnn gives no outputs
    for each in found.values():
        assert 0 < each['median_ms'] <= each['p90_ms'] < 10_000 and len(each['round_medians_ms']) == 2
        assert each['images_per_s'] == pytest.approx(1e3 / each['median_ms'])
    assert found['executorch']['calls'] == 6  # the first of each round warms up
    assert content['machine']['cpu'] == 'Telephone 3, Telephone 3' and content['machine']['android'] == '16'
    table = markdown(read_results([kit / 'results.json'])[0])
    assert '| tiny' in table and 'litert' in table and 'Telephone 3' in table


def test_what_fails_is_named(kit):
    """A runner that fails, one that computes something else, one that is not given; here, without a phone."""
    pytest.importorskip('onnxruntime')
    runners = [f'--runner={target}={kit}/runners/{name}'
               for target, name in (('litert', 'benchmark_model'), ('executorch', 'executor_runner'))]
    content = results(kit, '--here', '--rounds=1', *runners, '--flags=litert=--off=0.1', '--flags=executorch=--broken=1')
    litert, = content['contenders']
    assert litert['deviation'] > 1e-2
    reasons = {each['contender']: each['reason'] for each in content['skipped']}
    assert 'no such operator' in reasons['tiny, executorch'] and reasons['tiny, ncnn'] == 'no --runner for ncnn'


@pytest.mark.parametrize('words, message', [
    ([], 'at least one is needed'), (['--runner=litert=nothing'], 'nothing does not exist'),
    (['--runner=tvm=a'], "'tvm=a' is not TARGET=VALUE; targets: litert, executorch, ncnn")])
def test_wrong_flags(capsys, words, message):
    """They are named."""
    with pytest.raises(SystemExit):
        run.parse(words)
    assert message in capsys.readouterr().err


def test_without_adb(kit, monkeypatch, capsys):
    """The message says what to install."""
    monkeypatch.setenv('PATH', '/nowhere')
    with pytest.raises(SystemExit, match='adb is not in PATH: install'):
        run.main([f'--runner=litert={kit}/runners/benchmark_model'], kit)


# lines as the runners print them: https://github.com/tensorflow/tensorflow/tree/master/tensorflow/lite/tools/benchmark,
# executor_runner.cpp of ExecuTorch, benchncnn.cpp of ncnn
@pytest.mark.parametrize('target, text, expected', [
    ('litert', 'count=12 first=156677 curr=33205 min=32578 max=156677 avg=43268.1 std=34197\n\n'
               'count=50 first=33228 curr=33130 min=32687 max=33239 avg=33071.8 std=129\n\n'
               'Inference timings in us: Init: 3501, First inference: 156677, Warmup (avg): 43268.1\n', [33.0718]),
    ('litert', 'I tflite  : count=25 first=187533 curr=140990 min=140071 max=195121 avg=1.45528e+05 std=13583 p5=140545 '
               'median=141253 p95=187533', [141.253]),
    ('executorch', 'Model executed successfully 4 time(s) in 10.000000 ms.', [2.5]),
    ('executorch', 'Iteration 1 of 3: 9.0 ms\nIteration 2 of 3: 2.0 ms\nIteration 3 of 3: 3.0 ms\n'
                   'Model executed successfully 3 time(s) in 14.0 ms.', [2.0, 3.0]),
    ('ncnn', '          model.param  min =    7.50  max =    8.25  avg =    7.75\n', [7.75]),
    ('litert', 'Failed to load', []), ('executorch', '', []), ('ncnn', '', [])])
def test_times(target, text, expected):
    """What each runner says, in milliseconds; nothing where it says nothing."""
    assert run.RUNNERS[target][1](text) == pytest.approx(expected)


def test_deviation():
    """Of several outputs the largest, each by its own deviation; outputs of another length, and such that are not finite."""
    expected = [np.float32([0, 1, 2]).tobytes(), np.float32([0, 100]).tobytes()]
    assert run.deviation(b''.join(expected), expected) == 0
    assert run.deviation(np.float32([0, 1, 2.5, 0, 100]).tobytes(), expected) == pytest.approx(0.5)
    assert run.deviation(np.float32([0, 1, 2, 0, 101]).tobytes(), expected) == pytest.approx(1 / np.std([0, 100], ddof=1))
    assert run.deviation(np.float32([0, 1, np.nan, 0, 100]).tobytes(), expected) == np.inf
    assert run.deviation(b'', expected) is None


def test_of_a_page(tmp_path):
    """What a page saves becomes a row, too; before a measurement, and of other files, the message says what to do."""
    saved = dict(name='tiny', backend='webgpu', device='some GPU', browser='Mozilla/5.0 (Linux; Android 16) Chrome/150',
                 cores=8, threads=1, largest_difference=2e-6, runtime='onnxruntime-web', latency_ms=dict(
                     median=12.5, p90=14.0, runs=50))
    (tmp_path / 'saved.json').write_text(json.dumps(saved))
    (tmp_path / 'early.json').write_text(json.dumps(dict(saved, latency_ms=None)))
    (tmp_path / 'other.json').write_text('{}')
    table = markdown(read_results([tmp_path / 'saved.json'])[0])
    assert '12.50 (14.00)' in table and 'Android 16' in table and 'web, webgpu' in table
    for name in ('early.json', 'other.json', 'missing.json'):
        with pytest.raises(ResultError, match='press Measure before'):
            read_results([tmp_path / name])


def test_flags_of_the_command():
    """Its targets are those that have a runner; a folder with other files is left alone."""
    assert tuple(run.RUNNERS) == device.TARGETS and set(device.TARGETS) <= set(TARGETS)


def test_by_the_command(tmp_path, monkeypatch):
    """`mvit3 device` writes the folder, and reads what it measured; the format is ONNX, as if it were LiteRT."""
    pytest.importorskip('mmpretrain')
    monkeypatch.setitem(TARGETS, 'litert', TARGETS['onnx'])
    monkeypatch.chdir(tmp_path)
    config = Path(ROOT) / 'configs' / 'study' / 'cifar10.py'
    main.main(['device', str(config), 'none', '--to', 'litert', '--out', 'kit'])
    runner = program(tmp_path / 'runners' / 'benchmark_model', RUNNER.format(python=sys.executable, root=ROOT))
    row, = results(tmp_path / 'kit', '--here', f'--runner=litert={runner}')['contenders']
    assert row['deviation'] < 1e-3 and row['mode'] == 'litert'


def test_another_folder(tmp_path):
    """A folder with other files is left alone."""
    (tmp_path / 'letter.txt').write_text('')
    with pytest.raises(UsageError, match='has letter.txt, which no such export writes'):
        write_kit(build('v3', 'xxs'), (64, 64), [], tmp_path, name='a', note='')


@pytest.mark.slow(reason='an export for each runtime')
@pytest.mark.parametrize('target, name', [('litert', 'benchmark_model'), ('executorch', 'executor_runner')])
def test_desktop_runtimes(tmp_path, target, name):
    """A real file of the target in its desktop runtime, through the script."""
    try:
        require(target)
    except ImportError as error:
        pytest.skip(str(error))
    write_kit(lived_in(build('v3', 'xxs', out_indices=(-1,))), (64, 64), [target], tmp_path, name='tiny', note='test')
    runner = program(tmp_path / 'runners' / name, RUNNER.format(python=sys.executable, root=ROOT))
    content = results(tmp_path, '--here', f'--runner={target}={runner}')
    row, = content['contenders']
    assert row['deviation'] < 1e-3 and row['mode'] == target
